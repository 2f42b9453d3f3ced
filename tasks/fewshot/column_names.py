"""The names by which `evaluate fewshot` finds the columns of a table; the first one that is there counts."""

ASSAYS = ("assay_id", "assay", "assay_chembl_id", "task_id", "task", "dataset", "dataset_id", "dms_id")
# what was measured, as classes and as numbers; panels hold both forms of a measurement
CLASSES = ("property", "active", "activity", "label", "class")
NUMBERS = ("log_regression_property", "pchembl_value")
# groups of assays, in a table of their own
GROUPS = ("group", "class", "ec_super_class_name", "protein_class", "protein_family", "family")
