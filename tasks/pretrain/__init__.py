"""Pre-train a model from a recipe: corpus, packed batches, language-modelling steps, model directory.

Reading order, along one run:

1. `run`: the whole, from the recipe to the model directory; `plan`: what a run will be before it starts.
2. The recipe: `settings`, which reads it, `data_settings`, `training_settings`.
3. From text to token files, in `corpus`: `reading` with `regions` (records one by one), `gathering` with `chemistry`
   (onto the disk, with hashes from `luck`), `split` with `words` and `parts` (who is held out), `token_store`.
4. From token files to the batch of a step: `windows`, `filling` with `respelling`, `objectives`, `packing`,
   `batch_order` (which windows when), `tensor_batch`; `held_out` for held-out data; `data_module` serves all.
5. One step: `language_modeling`, `optimizer`.
6. Around the steps: `trainer` with `processes` (devices), `guard` (what is due after a step) with `validation`,
   `run_log` with `log_table` and `curves`, `stop_request` (signals), `checkpoint_file` and `portable_checkpoint`.
7. Before and after: `machine` (whether it can run here), `run_folder` and `turns` (whose folder it is), `shares`
   (whether as much is held out as asked for), `memory` with `activations` and `room` (whether it fits), `card` with
   `card_data` (what the model directory says of itself).
"""
