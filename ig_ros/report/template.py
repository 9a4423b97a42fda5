"""The HTML of a report. It asks nothing of the network, and no script runs."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.title }}: ig_ros report</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; background: #f6f7f9; margin: 0; }
  main { max-width: 1080px; margin: 0 auto; padding: 24px; }
  h1 { margin: 0; font-size: 26px; } h2 { margin: 40px 0 12px; font-size: 19px; }
  code, pre { font: 13px/1.5 ui-monospace, monospace; }
  .command { color: #52606d; overflow-wrap: anywhere; }
  .cards { display: flex; flex-wrap: wrap; gap: 10px; margin-top: 18px; }
  .card, figure, table, details { background: #fff; border: 1px solid #e3e6ea; border-radius: 8px; }
  .card { padding: 10px 16px; } .card b { display: block; font-size: 21px; }
  .card span { color: #52606d; font-size: 13px; }
  .stopped { background: #fff4e5; border: 1px solid #f0b429; border-radius: 8px; padding: 8px 14px; margin-top: 14px; }
  .curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 12px; }
  figure { margin: 0; padding: 8px; } .curves svg { width: 100%; height: auto; }
  .views { display: grid; grid-template-columns: repeat(4, 1fr); gap: 6px; align-items: center; }
  .views img { width: 100%; display: block; border-radius: 4px; } .views .head { font-weight: 600; }
  .views .row { grid-column: 1 / -1; color: #52606d; font-size: 13px; margin-top: 6px; }
  .scale { height: 10px; width: 90px; display: inline-block; vertical-align: middle; border-radius: 3px;
           background: linear-gradient(90deg, #000004, #420a68, #932667, #dd513a, #fca50a, #fcffa4); }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid #eef0f3; }
  th { color: #52606d; font-size: 13px; }
  td.n { text-align: right; font-variant-numeric: tabular-nums; } th.n { text-align: right; }
  td img { width: 72px; height: 72px; border-radius: 6px; display: block; }
  .chip { display: inline-block; width: 12px; height: 12px; border-radius: 3px;
          margin-right: 6px; vertical-align: -1px; }
  .bar { height: 12px; background: #1d4ed8; border-radius: 3px; min-width: 1px; }
  .right { color: #047857; } .wrong { color: #b91c1c; }
  details { padding: 8px 14px; margin-top: 10px; } summary { cursor: pointer; font-weight: 600; }
  pre { overflow-x: auto; }
</style>
</head>
<body>
<main>
<h1>{{ report.title }}</h1>
<div class="command"><code>{{ report.command }}</code></div>
{% if report.figures.interrupted %}
<div class="stopped">Stopped by Ctrl-C: the map is what had been reached by then.</div>
{% endif %}
<div class="cards">
{% for name, value in cards %}
  <div class="card"><b>{{ value }}</b><span>{{ name }}</span></div>
{% endfor %}
</div>

{% if report.history %}
<h2>Training</h2>
{% if curves %}
<div class="curves">
{% for curve in curves %}
<figure>{{ curve | safe }}</figure>
{% endfor %}
</div>
{% else %}
<p>Not one training step was made.</p>
{% endif %}
{% endif %}

{% if views %}
<h2>Views the map never saw</h2>
<div class="views">
  <div class="head">photograph</div><div class="head">render</div>
  <div class="head">error, 0 <span class="scale"></span> {{ error_full }} / 255</div><div class="head">objects</div>
{% for view in views %}
  <div class="row">
  frame {{ view.index }}: {{ "%.1f" | format(view.psnr) }} dB, SSIM {{ "%.3f" | format(view.ssim) }}</div>
{% for picture in view.pictures %}
  <img src="{{ picture }}" alt="frame {{ view.index }}">
{% endfor %}
{% endfor %}
</div>
{% endif %}

<h2>Objects ({{ objects | length }})</h2>
{% if objects %}
<table id="objects">
<tr><th></th><th>id</th><th>name</th><th class="n">views agree</th><th class="n">seen in</th>
<th class="n">centre x, y, z (m)</th>
<th class="n">size (cm)</th><th class="n">Gaussians</th></tr>
{% for row in objects %}
<tr>
<td>{% if row.picture %}<img src="{{ row.picture }}" alt="object {{ row.thing.id }}">{% endif %}</td>
<td><span class="chip" style="background: {{ row.color }}"></span>{{ row.thing.id }}</td>
<td>{{ row.thing.label or "(no name)" }}</td>
<td class="n">{{ "%.0f" | format(100 * row.thing.confidence) }} %</td>
<td class="n">{{ row.thing.views }} views</td>
<td class="n">{{ row.position | join(", ") }}</td>
<td class="n">{{ row.size | join(" x ") }}</td>
<td class="n">{{ row.thing.points }}</td>
</tr>
{% endfor %}
</table>
{% else %}
<p>No objects: without masks there is nothing to group by. Give the frames masks, or choose a segmenter.</p>
{% endif %}

{% if language.queries %}
<h2>Questions</h2>
<table>
<tr><th>asked</th><th>wanted</th><th>answered</th><th></th></tr>
{% for item in language.queries %}
<tr><td>{{ item.text }}</td><td>{{ item.wanted }}</td><td>{{ item.got or "nothing" }}</td>
<td class="{{ 'right' if item.right else 'wrong' }}">{{ "right" if item.right else "wrong" }}</td></tr>
{% endfor %}
{% for item in language.absent %}
<tr><td>{{ item.text }}</td><td>(not there)</td><td>{{ "nothing" if item.right else "something" }}</td>
<td class="{{ 'right' if item.right else 'wrong' }}">{{ "right" if item.right else "wrong" }}</td></tr>
{% endfor %}
</table>
{% endif %}

{% if seconds %}
<h2>Time</h2>
<table id="timings">
{% for part, seconds, share in seconds %}
<tr><td style="width: 160px">{{ part }}</td><td class="n" style="width: 90px">{{ "%.2f" | format(seconds) }} s</td>
<td><div class="bar" style="width: {{ "%.1f" | format(share) }}%"></div></td></tr>
{% endfor %}
</table>
<p>{{ report.figures.steps_per_second }} training steps per second, the arrival of the frames included.</p>
{% endif %}

<details><summary>Parameters that are not the defaults</summary><pre>{{ changed }}</pre></details>
<details><summary>All figures</summary><pre>{{ report.figures | tojson(indent=2) }}</pre></details>
</main>
</body>
</html>
"""
