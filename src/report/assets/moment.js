"use strict";
// The stack at one moment: who is what, who believes whom, what is cut, which messages are under way; and the messages
// around it, one a row. One moment for both pictures and for the timeline's rule; the address carries it: #at=5.386.
(function () {
  const { data, seconds, millis, dark, tone, column, undelta, line, lines, at: rule } = window.report;
  const $ = (id) => document.getElementById(id), view = $("moment-view");
  const NS = "http://www.w3.org/2000/svg";
  function el(name, attributes, parent, text) {
    const it = document.createElementNS(NS, name);
    for (const key in attributes) it.setAttribute(key, attributes[key]);
    if (text !== undefined) it.textContent = text;
    if (parent) parent.append(it);
    return it;
  }
  // A text that ends inside of its picture: cut where it does not fit, by how wide it is drawn.
  function within(it, room) {
    let text = it.textContent, wide = it.getComputedTextLength();
    while (wide > room && text.length > 1) {
      text = text.slice(0, Math.min(text.length - 1, Math.floor(text.length * room / wide)));
      it.textContent = text + "…"; wide = it.getComputedTextLength();
    }
    return it;
  }
  const F = data.flights;
  if (F) { F.t = undelta(F.t); for (const key of ["k", "r", "e"]) F[key] = column(F[key]); }
  const lanes = { r: [], s: [], p: [], c: [] };
  for (const lane of data.lanes) lanes[lane.k].push(lane);
  const proxy = lanes.p.length ? lanes.p[0].node : null;
  const from = data.from, end = data.end;
  let t = Math.max(from, Math.min(end, data.faults.length ? data.faults[0].from : 0)), chosen = -1, playing = 0;

  // Families that are shown: those of which a failover is made.
  const shown = F ? F.families.map((name) => ["election", "orders", "ping"].includes(name)) : [];
  if (F) {
    const box = $("moment-families");
    F.families.forEach((name, k) => {
      const label = document.createElement("label"), input = document.createElement("input");
      input.type = "checkbox"; input.checked = shown[k]; input.disabled = F.left.includes(name);
      input.addEventListener("change", () => { shown[k] = input.checked; draw(); });
      label.append(input, " " + name + (input.disabled ? " (too many to keep)" : "")); box.append(label);
    });
  }
  const index = (i) => shown[F.k[i]];
  // The first flight at or after a moment.
  function first(when) { let lo = 0, hi = F.t.length; while (lo < hi) { const mid = (lo + hi) >> 1; if (F.t[mid] < when) lo = mid + 1; else hi = mid; } return lo; }

  const state = (lane) => { const bar = lane.bars.find((b) => b[0] <= t && t < b[1]) || (t >= end ? lane.bars[lane.bars.length - 1] : null); return bar ? data.states[lane.k][bar[2]] : null; };
  const last = (list) => { let found = null; for (const entry of list || []) if (entry[0] <= t) found = entry; return found; };
  // Networks cut at this moment: groups of names, and those of nobody's.
  const cuts = () => data.faults.filter((f) => f.groups && f.from <= t && t < f.to);
  const hosts = (name) => { const lane = lanes.c.find((c) => c.n === name); return lane ? [name, "clients"] : [name]; };
  function apart(a, b) {
    return cuts().some((f) => {
      const group = (name) => f.groups.findIndex((g) => hosts(name).some((h) => g.includes(h)));
      const ga = group(a), gb = group(b);
      return ga !== gb && (ga >= 0 || gb >= 0) && (f.groups.length === 1 || (ga >= 0 && gb >= 0));
    });
  }

  // Where everybody stands: clients, HAProxy, Redis, Sentinels, from above.
  const at = {};
  let width = 0, tall = 0;
  function place() {
    width = $("moment-topology").clientWidth || 560;
    const rows = [lanes.c.map((l) => l.n), proxy ? [proxy] : [], lanes.r.map((l) => l.n), lanes.s.map((l) => l.n)].filter((row) => row.length);
    const cell = Math.min(176, (width - 8) / Math.max(...rows.map((row) => Math.min(row.length, 7))));
    let y = 50;
    for (const row of rows) {
      const fold = Math.ceil(row.length / 7), per = Math.ceil(row.length / fold);
      row.forEach((name, i) => {
        const n = Math.min(per, row.length - Math.floor(i / per) * per), left = (width - n * cell) / 2;
        at[name] = { x: left + (i % per + 0.5) * cell, y: y + Math.floor(i / per) * 64, w: cell - Math.max(12, cell * 0.2) };
      });
      y += fold * 64 + 34;
    }
    tall = y - 30;
  }
  // Where a straight line from a to b leaves the box of a.
  function edge(a, b) {
    const dx = b.x - a.x, dy = b.y - a.y, k = Math.min(dx ? (a.w / 2) / Math.abs(dx) : 9, dy ? 25 / Math.abs(dy) : 9, 0.5);
    return { x: a.x + dx * k, y: a.y + dy * k };
  }
  function link(svg, a, b, cls, title) {
    if (!at[a] || !at[b]) return null;
    const cut = apart(a, b), p = edge(at[a], at[b]), q = edge(at[b], at[a]);
    // Over a neighbour in the same row it goes in a bow: behind it, it would look as the neighbour's.
    const bow = Math.abs(at[a].y - at[b].y) < 1 && Math.abs(at[a].x - at[b].x) > at[a].w * 1.5, mid = (at[a].x + at[b].x) / 2, top = at[a].y - 25;
    const style = "link " + cls + (cut ? " cut" : "");
    const it = bow ? el("path", { d: "M" + at[a].x + "," + top + " Q" + mid + "," + (top - 38) + " " + at[b].x + "," + top, class: style, fill: "none" }, svg)
      : el("line", { x1: p.x, y1: p.y, x2: q.x, y2: q.y, class: style }, svg);
    el("title", {}, it, title + (cut ? ", cut by a fault" : ""));
    if (cut) el("text", { x: (p.x + q.x) / 2, y: bow ? top - 14 : (p.y + q.y) / 2 + 5, class: "cross" }, svg, "✕");
    return it;
  }
  function box(svg, name, fill, words, more, dead) {
    const p = at[name]; if (!p) return;
    const g = el("g", { class: "node" + (dead ? " dead" : "") }, svg);
    el("rect", { x: p.x - p.w / 2, y: p.y - 25, width: p.w, height: 50, rx: 6, fill: fill || "var(--panel)" }, g);
    const ink = fill ? (d3.hsl(fill).l > 0.52 || d3.lab(fill).l > 62 ? "#111" : "#fff") : "var(--ink)";
    const put = (y, text, bold) => within(el("text", { x: p.x, y, fill: ink, class: bold ? "name" : "" }, g, text), p.w - 6);
    put(p.y - 9, name, true); put(p.y + 5, words); if (more) put(p.y + 18, more);
    el("title", {}, g, name + ": " + words + (more ? ", " + more : ""));
  }
  function topology() {
    place();
    const home = $("moment-topology"); home.replaceChildren();
    const svg = el("svg", { width, height: tall, viewBox: "0 0 " + width + " " + tall, role: "img", "aria-label": "The stack at " + seconds(t) }, home);
    // Who follows whom.
    for (const lane of lanes.r) {
      const follows = last(lane.follows), s = state(lane);
      if (follows && s && s.w !== "master" && at[follows[1]]) link(svg, lane.n, follows[1], "replica" + (s.w.includes("down") ? " down" : ""), lane.n + " follows " + follows[1]);
    }
    // HAProxy and its servers, clients and HAProxy.
    for (const lane of lanes.p) { const s = state(lane), server = lane.n.split(" → ")[1]; if (s && s.w === "UP") link(svg, proxy, server, "up", "HAProxy: " + server + " is UP"); }
    if (proxy) for (const lane of lanes.c) link(svg, lane.n, proxy, "client" + (lane.bars.length && (lane.bars.find((b) => b[0] <= t && t < b[1]) || [0, 0, 0])[2] ? " down" : ""), lane.n);
    // Who believes whom.
    for (const lane of lanes.s) { const b = last(lane.believes); if (b) link(svg, lane.n, b[1], "belief", lane.n + " believes that " + b[1] + " is the master"); }
    flying(svg);
    for (const lane of lanes.c) {
      const k = d3.bisectRight(lane.ops.t, t) - 1, kind = k >= 0 ? data.kinds[lane.ops.kind[k]] : null;
      const quiet = k < 0 || t - lane.ops.t[k] > 1e6;
      box(svg, lane.n, null, quiet ? "nothing for " + (k < 0 ? "ever" : millis(t - lane.ops.t[k])) : kind.w);
    }
    if (proxy) {
      const up = lanes.p.filter((lane) => { const s = state(lane); return s && s.w === "UP"; }).map((lane) => lane.n.split(" → ")[1]);
      const dead = lanes.p.every((lane) => { const s = state(lane); return s && s.w !== "UP" && s.w !== "DOWN"; });
      box(svg, proxy, null, dead ? "does not run" : up.length ? "UP: " + up.join(", ") : "no server", null, dead);
    }
    for (const lane of lanes.r) { const s = state(lane); const two = data.two.some((w) => w.from <= t && t < w.to && w.nodes.includes(lane.n)); if (s) box(svg, lane.n, two ? "#d55e00" : tone(s.c), two ? "one of two masters" : s.w); }
    for (const lane of lanes.s) { const s = state(lane), b = last(lane.believes), e = last(lane.epochs); if (s) box(svg, lane.n, tone(s.c), s.w, (b ? "→ " + b[1] : "") + (e ? ", epoch " + e[1] : "")); }
    const said = cuts().map((f) => f.label);
    const note = within(el("text", { x: 4, y: 14, class: "note" }, svg, said.join("; ")), width - 8);
    if (said.length) el("title", {}, note, said.join("; "));
  }
  // Messages under way, and the one that is chosen.
  function flying(svg) {
    if (!F) return;
    for (let i = first(t - 2e6); i < F.t.length && F.t[i] <= t; i++) {
      const over = late(i) ? t - F.t[i] < 50000 : F.t[i] + F.d[i] >= t;
      if (i !== chosen && !(over && index(i))) continue;
      arrow(svg, i, i === chosen);
    }
  }
  const late = (i) => F.d[i] < 0 || F.d[i] > 200000;
  const color = (i) => (F.e[i] === 1 || F.d[i] > 200000 ? "var(--cut)" : F.k[i] < 2 ? "var(--failover)" : "var(--ink)");
  function arrow(svg, i, strong) {
    const a = at[F.nodes[F.f[i]]], b = at[F.nodes[F.o[i]]]; if (!a || !b) return;
    const p = edge(a, b), q = edge(b, a), lost = late(i), k = lost ? 0.6 : strong ? 1 : Math.min(1, (t - F.t[i]) / Math.max(1, F.d[i]));
    const x = p.x + (q.x - p.x) * k, y = p.y + (q.y - p.y) * k;
    el("line", { x1: p.x, y1: p.y, x2: x, y2: y, stroke: color(i), "stroke-width": strong ? 3 : 1.5, "stroke-dasharray": F.r[i] ? "6 4" : "none" }, svg);
    if (lost) el("text", { x, y: y + 5, class: "cross" }, svg, "✕");
    else { const turn = Math.atan2(q.y - p.y, q.x - p.x) * 180 / Math.PI; el("path", { d: "M0,0 L-10,-5 L-10,5 z", fill: color(i), transform: "translate(" + x + "," + y + ") rotate(" + turn + ")" }, svg); }
    if (strong) el("text", { x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 - 6, class: "said" }, svg, F.texts[F.x[i]]);
  }

  // The messages around the moment: rows in order, not to scale.
  const columns = F ? [...lanes.c.map((l) => l.n), ...(proxy ? [proxy] : []), ...lanes.r.map((l) => l.n), ...lanes.s.map((l) => l.n)] : [];
  const letter = (name) => name.replace(/^redis-/, "r").replace(/^sentinel-/, "s").replace(/^haproxy$/, "hap");
  function rows() {
    const before = [], after = [], ROWS = 14;
    const j0 = d3.bisectRight(lines, t);
    let i = first(t + 1) - 1, j = j0 - 1;
    while (before.length < ROWS && (i >= 0 || j >= 0)) {
      while (i >= 0 && !index(i)) i--;
      if (i < 0 && j < 0) break;
      if (j < 0 || (i >= 0 && F.t[i] >= lines[j])) before.push({ t: F.t[i], i: i-- }); else before.push({ t: lines[j], j: j-- });
    }
    i = first(t + 1); j = j0;
    while (after.length < ROWS && (i < F.t.length || j < lines.length)) {
      while (i < F.t.length && !index(i)) i++;
      if (i >= F.t.length && j >= lines.length) break;
      if (j >= lines.length || (i < F.t.length && F.t[i] <= lines[j])) after.push({ t: F.t[i], i: i++ }); else after.push({ t: lines[j], j: j++ });
    }
    return before.reverse().concat(after);
  }
  function list() {
    if (!F) return;
    const home = $("moment-list"), all = rows(); home.replaceChildren();
    const wide = home.clientWidth || 600, narrow = wide < 560, LEFT = 68, ROW = narrow ? 32 : 20, TOP = 22;
    const right = narrow ? 4 : wide > 640 ? 290 : 210, seen = new Set();
    for (const row of all) { if (row.i !== undefined) { seen.add(F.nodes[F.f[row.i]]); seen.add(F.nodes[F.o[row.i]]); } else seen.add(line(row.j).node); }
    const cols = columns.filter((name) => seen.has(name)), step = (wide - LEFT - right) / Math.max(1, cols.length);
    const x = (name) => LEFT + (cols.indexOf(name) + 0.5) * step;
    const height = TOP + all.length * ROW + 6;
    const svg = el("svg", { width: wide, height, viewBox: "0 0 " + wide + " " + height }, home);
    for (const name of cols) {
      within(el("text", { x: x(name), y: 13, class: "head" }, svg, step < 40 ? letter(name).slice(0, 3) : step < 64 ? letter(name) : name), step - 4);
      el("line", { x1: x(name), y1: TOP - 4, x2: x(name), y2: height, class: "life" }, svg);
    }
    const now = all.filter((row) => row.t <= t).length;
    el("line", { x1: 0, x2: wide, y1: TOP + now * ROW, y2: TOP + now * ROW, class: "now" }, svg);
    all.forEach((row, n) => {
      const y = TOP + (n + 0.5) * ROW - (narrow ? 7 : 0), g = el("g", { class: "row" + (row.i !== undefined && row.i === chosen ? " chosen" : "") }, svg);
      el("rect", { x: 0, y: TOP + n * ROW, width: wide, height: ROW, class: "hit" }, g);
      el("text", { x: LEFT - 6, y: y + 4, class: "time" }, g, (row.t / 1e6).toFixed(4));
      let words;
      if (row.i === undefined) {
        const it = line(row.j); words = it.text.split(" ").filter((w) => !/^[0-9a-f]{40}$/.test(w)).join(" ");
        if (cols.includes(it.node)) el("rect", { x: x(it.node) - 4, y: y - 4, width: 8, height: 8, class: "line-mark" }, g);
        if (narrow) words = it.node + ": " + words;
      } else {
        const i = row.i, a = x(F.nodes[F.f[i]]), b = x(F.nodes[F.o[i]]), ok = F.d[i] >= 0 && F.d[i] < 200000, way = b > a ? 1 : -1, stop = ok ? b : b - way * step * 0.3;
        el("circle", { cx: a, cy: y, r: 2.5, fill: color(i) }, g);
        el("line", { x1: a, y1: y, x2: stop, y2: y, stroke: color(i), "stroke-width": F.k[i] < 2 ? 2 : 1, "stroke-dasharray": F.r[i] ? "5 4" : "none" }, g);
        if (ok) el("path", { d: "M" + b + "," + y + " l" + -8 * way + ",-4 l0,8 z", fill: color(i) }, g); else el("text", { x: stop, y: y + 4, class: "cross", fill: color(i) }, g, "✕");
        words = F.texts[F.x[i]] + (ok ? (F.d[i] >= 1000 ? ", " + millis(F.d[i]) : "") : F.d[i] >= 0 ? ", arrives " + millis(F.d[i]) + " later" : ["", ", dropped", ", the other host is gone", ", never read"][F.e[i]]);
        if (narrow) words = letter(F.nodes[F.f[i]]) + " → " + letter(F.nodes[F.o[i]]) + ": " + words;
      }
      const text = within(el("text", { x: narrow ? LEFT : wide - right + 8, y: narrow ? y + 19 : y + 4, class: row.i === undefined ? "what strong" : "what" }, g, words), narrow ? wide - LEFT - 2 : right - 10);
      el("title", {}, text, words);
      g.addEventListener("click", () => go(row.t, row.i === undefined ? -1 : row.i, true));
    });
  }

  const slider = $("moment-slider");
  slider.min = from; slider.max = end; slider.step = 1000;
  function marks() {
    const home = $("moment-marks"); home.replaceChildren();
    const mark = (when, word, cls) => { if (when < from || when > end) return; const b = document.createElement("button"); b.type = "button"; b.className = cls; b.tabIndex = -1; b.style.left = (when - from) / (end - from) * 100 + "%"; b.title = word + " at " + seconds(when); b.textContent = cls === "fault" ? "▲" : "◆"; b.addEventListener("click", () => go(when, -1, true)); home.append(b); };
    for (const f of data.faults) mark(f.from, f.label, "fault");
    for (let j = 0; j < lines.length; j++) { const it = line(j); if (it.text.startsWith("+switch-master") || it.text.startsWith("+try-failover")) mark(it.t, it.node + ": " + it.text.split(" ")[0], "failover"); }
  }
  let drawing = 0;
  function draw() { if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; topology(); list(); }); }
  function go(when, i, told) {
    t = Math.max(from, Math.min(end, when)); chosen = i === undefined ? -1 : i;
    slider.value = t; $("moment-time").textContent = seconds(t);
    if (told) {
      rule(t);
      if (chosen >= 0) $("moment-live").textContent = F.nodes[F.f[chosen]] + " to " + F.nodes[F.o[chosen]] + ": " + F.texts[F.x[chosen]];
      try { history.replaceState(null, "", "#at=" + (t / 1e6).toFixed(6)); } catch (e) { /* not everywhere allowed */ }
    }
    draw();
  }
  function step(by) {
    if (!F) { logs(by); return; }
    let i = chosen >= 0 ? chosen + by : by > 0 ? first(t) : first(t) - 1;
    while (i >= 0 && i < F.t.length && !index(i)) i += by;
    if (i >= 0 && i < F.t.length) go(F.t[i], i, true); else stop();
  }
  function logs(by) { const j = by > 0 ? d3.bisectRight(lines, t) : d3.bisectLeft(lines, t) - 1; if (j >= 0 && j < lines.length) go(lines[j], -1, true); }
  function stop() { if (playing) cancelAnimationFrame(playing); playing = 0; button("play").textContent = "Play"; if (t !== from) rule(t); }
  function play() {
    if (playing) { stop(); return; }
    button("play").textContent = "Pause";
    let past = null, rest = 0;
    const tick = (now) => {
      const speed = $("moment-speed").value, gone = past === null ? 0 : now - past; past = now;
      if (speed === "step") { rest += gone; if (rest > 350) { rest = 0; step(1); } }
      else go(t + gone * 1000 * Number(speed), -1, false);
      if (t >= end) { stop(); return; }
      if (button("play").textContent === "Pause") playing = requestAnimationFrame(tick);
    };
    playing = requestAnimationFrame(tick);
  }
  const button = (name) => view.querySelector("[data-moment=" + name + "]");
  const deeds = {
    before: () => step(-1), after: () => step(1), play,
    link: () => { const said = button("link"); go(t, chosen, true); if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(() => { said.textContent = "Copied"; setTimeout(() => (said.textContent = "Copy link"), 1500); }, () => {}); },
  };
  view.querySelectorAll("[data-moment]").forEach((b) => b.addEventListener("click", () => deeds[b.dataset.moment]()));
  slider.addEventListener("input", () => go(Number(slider.value), -1, false));
  slider.addEventListener("change", () => go(Number(slider.value), -1, true));
  view.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || ["INPUT", "SELECT"].includes(e.target.tagName) && e.target !== slider) return;
    if (e.key === " " && e.target.tagName === "BUTTON") return;
    const deed = { " ": play, ",": () => step(-1), ".": () => step(1), n: () => logs(1), p: () => logs(-1) }[e.key];
    if (deed) { e.preventDefault(); deed(); }
  });
  function follow() {
    const wanted = /^#at=(-?[\d.]+)$/.exec(location.hash);
    if (!wanted) return false;
    const when = Math.round(Number(wanted[1]) * 1e6);
    let i = -1;
    if (F) { i = first(when); if (i >= F.t.length || F.t[i] !== when || !index(i)) i = -1; }
    go(when, i, true); $("moment").scrollIntoView();
    return true;
  }
  window.addEventListener("resize", draw);
  window.addEventListener("report-theme", draw);
  window.addEventListener("hashchange", follow);
  marks();
  if (!follow()) go(t, -1, false);
})();
