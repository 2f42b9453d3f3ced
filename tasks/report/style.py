"""The style of a report: light and dark, from a telephone to paper."""

LIGHT = """
  --ground: #ffffff; --panel: #f5f7f9; --ink: #1b2026; --faint: #5a6570; --edge: #d4dae0; --link: #0b5cad;
  --good: #e3f4e6; --warning: #fdf0d5; --good-edge: #2c8a43; --warning-edge: #b87400; --shade: #1b202666;
  --c0: #0b66c2; --c1: #c65102; --c2: #0a8468; --c3: #a33c8f; --c4: #7a6a00; --c5: #1b8fb5; --c6: #c0392b;
  --c7: #59636e;
"""
DARK = """
  --ground: #14181c; --panel: #1d2329; --ink: #e6e9ec; --faint: #a2adb8; --edge: #3a434c; --link: #79b8ff;
  --good: #17301d; --warning: #37290c; --good-edge: #4fb368; --warning-edge: #d99a2b; --shade: #e6e9ec66;
  --c0: #5aa9f7; --c1: #f28b4b; --c2: #45c4a1; --c3: #d983c7; --c4: #cdb93f; --c5: #67c7e6; --c6: #ef7b6e;
  --c7: #a5b0bb;
"""
_DASHES = ("none", "7 3", "2 3", "9 3 2 3", "5 5", "1 2", "12 4", "3 6")

# shades at the edges of what scrolls; covers of the colour of the ground, which move along, hide them at its ends
_RULES = """
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 66rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 1.6rem 0 .4rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--edge); }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; padding: 0; list-style: none; }
code, pre { font: .875em/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  unicode-bidi: isolate; overflow-wrap: anywhere; }
pre { background: var(--panel); border: 1px solid var(--edge); border-radius: 6px; padding: .7rem .9rem;
  white-space: pre-wrap; }
p.note, p.good, p.warning { border-left: 4px solid var(--edge); background: var(--panel); padding: .5rem .8rem; }
p.good { background: var(--good); border-color: var(--good-edge); }
p.warning { background: var(--warning); border-color: var(--warning-edge); }
.scroll { overflow-x: auto; margin: 0 0 1.2rem; background:
  linear-gradient(to right, var(--ground) 40%, transparent) left / 3rem 100% no-repeat local,
  linear-gradient(to left, var(--ground) 40%, transparent) right / 3rem 100% no-repeat local,
  linear-gradient(to right, var(--shade), transparent) left / 1rem 100% no-repeat scroll,
  linear-gradient(to left, var(--shade), transparent) right / 1rem 100% no-repeat scroll; }
.title { color: var(--faint); font-size: .9rem; margin: 1rem 0 .1rem; }
table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; }
th, td { text-align: left; padding: .28rem .9rem .28rem 0; border-bottom: 1px solid var(--edge); vertical-align: top;
  max-width: 26rem; overflow-wrap: break-word; unicode-bidi: isolate; }
th { font-weight: 600; min-width: 5.5rem; }
tbody th { font-weight: 400; overflow-wrap: break-word; }
.numbers td { white-space: nowrap; }
.pictures .title { margin-top: 0; } .pictures th, .pictures td { min-width: 0 !important; }
.numbers td, .numbers thead th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; min-width: 5.5rem; padding: .28rem 0 .28rem .8rem; }
dl { display: grid; gap: .25rem; margin: .8rem 0; }
dl div { display: flex; flex-wrap: wrap; gap: 0 .6rem; }
dt { color: var(--faint); min-width: 18rem; } dd { margin: 0; flex: 1 1 14rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem 1.6rem;
  align-items: start; margin: 1rem 0; }
figure { margin: 0; min-width: 0; max-width: 32rem; }
figure > svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--faint); font-size: .875rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .2rem 0; padding: 0;
  font-size: .875rem; }
.legend svg { margin-right: .4rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 1rem; padding: 0;
  list-style: none; }
.cards li { border: 1px solid var(--edge); border-radius: 6px; padding: .7rem; min-width: 0; }
.cards dl { margin: 0; gap: 0; font-size: .875rem; } .cards dt { min-width: 0; } .cards dd { flex: 0 1 auto; }
.sequence { margin: .3rem 0; font-size: .85rem; line-height: 1.3; }
.molecule { width: 100%; max-width: 18rem; height: auto; display: block; margin: 0 auto; color: var(--ink); }
summary { cursor: pointer; color: var(--link); margin: .6rem 0; }
footer { color: var(--faint); font-size: .875rem; padding-bottom: 2rem; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
svg text { fill: var(--ink); font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
svg .name { paint-order: stroke; stroke: var(--ground); stroke-width: 4px; stroke-linejoin: round; }
svg .tick { fill: var(--faint); font-size: 12px; }
.grid { stroke: var(--edge); stroke-width: .7; } .axis { stroke: var(--faint); }
.ideal { stroke: var(--faint); stroke-width: 1.3; stroke-dasharray: 5 4; fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .whisker { stroke-width: 1; stroke-opacity: .35; }
.whisker.strong { stroke-width: 1.6; stroke-opacity: .8; }
.interval { stroke-width: 3; stroke-dasharray: none !important; }
.dot { fill-opacity: .75; } .bar { fill-opacity: .85; }
.whisker { stroke-dasharray: none !important; }
"""
_NARROW = """
  .numbers td, .numbers thead th:not(:first-child) { min-width: 3.6rem; padding-left: .5rem; }
  th { min-width: 4rem; } h1 { font-size: 1.4rem; }
"""
_PAPER = """
  body { font-size: 10pt; } nav { display: none; } header, main, footer { max-width: none; }
  figure, .cards li, tr, pre { break-inside: avoid; } h2 { break-after: avoid; }
  .scroll { overflow: visible; background: none; }
  table { font-size: 8pt; } .numbers td { white-space: normal; }
  th, td, .numbers td { min-width: 0; padding-right: .5rem; } * { print-color-adjust: exact; }
"""


def style() -> str:
    """Return the rules of the page."""
    colours = "\n".join(
        f".s{place} {{ stroke: var(--c{place}); stroke-dasharray: {dash}; }} .f{place} {{ fill: var(--c{place}); }}"
        for place, dash in enumerate(_DASHES)
    )
    return (
        f":root {{ {LIGHT} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}\n"
        f"{_RULES}{colours}\n@media (max-width: 34rem) {{ {_NARROW} }}\n@media print {{ {_PAPER} }}\n"
    )
