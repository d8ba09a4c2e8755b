// What the reader does: move, zoom, open and close, select, go through the backward pass.

const byId = (id) => document.getElementById(id);
const stepOf = new Map(data.steps.map((step, i) => [step.node, i + 1]));
let selected = null;  // { item, ids }
let at = 0;           // steps that are done

// ---- texts; all of what comes from the program goes in as text, never as markup ----

function element(tag, text, className) {
  const e = document.createElement(tag);
  if (text) e.textContent = text;
  if (className) e.className = className;
  return e;
}
const count = (n, one, many) => n + " " + (n === 1 ? one : many);
const label = (id) => (id < 0 ? "a node that is not here" : nodes[id].name || nodes[id].op);
function link(id) {
  const a = element("a", label(id));
  a.onclick = () => select(nodes[id], true);
  return a;
}
function line(parts, className) {
  const p = element("p", "", className);
  p.append(...parts);
  return p;
}
function put(panel, title, ...parts) {
  panel.append(element("h3", title), ...parts);
}
function tensor(known, otherwise) {
  if (!known) return [element("p", otherwise, "unknown")];
  const parts = [element("p", known.text, known.text.startsWith("not known") ? "unknown" : "")];
  if (known.elements) parts.push(element("pre", known.elements));
  return parts;
}
// A contract, with its formulas of gradients marked: "dx = dy where x > 0, else 0"
function contract(text) {
  const pre = element("pre");
  let from = 0;
  for (const match of text.matchAll(/\bd[A-Za-z_]\w*(?:, d\w+)* = [^;.\n]*(?:\.\d[^;.\n]*)*/g)) {
    pre.append(text.slice(from, match.index), element("b", match[0]));
    from = match.index + match[0].length;
  }
  pre.append(text.slice(from).trimEnd());
  return pre;
}

// The gradient of an output as far as the pass has come.
function gradient(node, output) {
  const y = node.outputs[output];
  if (data.steps.length === 0) return tensor(y.grad, "not computed");
  const mine = stepOf.get(node.id);
  if (mine && mine <= at) return tensor(data.steps[mine - 1].arrived[output], "nothing used this output: zeros, to the rule");
  const parts = [];
  let some = false;
  data.steps.slice(0, at).forEach((step, i) => {
    for (const sent of step.sent) {
      if (sent.to !== node.id || sent.output !== output) continue;
      if (sent.before && !some) parts.push(line(["from before: " + sent.before.text]));
      parts.push(line(["step " + (i + 1) + ", from ", link(step.node), some || sent.before ? ", is added: " : ": ", sent.gradient.text]));
      some = true;
    }
  });
  if (!some) return [element("p", at < data.steps.length ? "not computed yet" : "not computed: nothing led here", "unknown")];
  if (node.leaf && at === data.steps.length && y.grad) parts.push(line(["grad(): "]), ...tensor(y.grad));
  else if (!node.leaf) parts.push(element("p", "more may arrive until step " + (mine || "the last"), "pale"));
  return parts;
}

function showNode(panel, node) {
  panel.append(element("h2", node.leaf ? node.name || "leaf" : node.name ? node.op + "  " + node.name : node.op));
  const path = node.modules.map((m) => m[0] || m[1]).join(".");
  panel.append(element("p", (node.leaf ? "leaf" : "op") + (path ? " in " + path : "") + (node.line ? ", at " + node.line : ""), "pale"));
  node.outputs.forEach((y, i) => {
    const which = node.outputs.length > 1 ? " of output " + i : "";
    put(panel, "shape" + which, element("p", y.dtype + " " + y.shape));
    put(panel, "value" + which, ...tensor(y.value));
    put(panel, "gradient" + which, ...gradient(node, i));
  });
  if (node.saved) put(panel, "for the backward pass", element("p", node.saved));
  if (!node.leaf) {
    put(panel, "from", ...node.inputs.map(([id], i) => line(["input " + i + ": ", id < 0 ? element("span", "no gradient goes there", "pale") : link(id)])));
    const text = data.contracts[node.op];
    put(panel, "contract of " + node.op, text ? contract(text) : element("p", "none: an op that the library keeps for itself", "unknown"));
  }
  if (node.users.length > 0) put(panel, "used by", line(node.users.slice(0, 40).flatMap((id, i) => (i > 0 ? [", ", link(id)] : [link(id)])).concat(node.users.length > 40 ? [", ..."] : [])));
}

function showGroup(panel, group) {
  panel.append(element("h2", group.module[0] || group.module[1]), element("p", "module of type " + group.module[1], "pale"));
  const inside = nodesIn(group).map((id) => nodes[id]);
  put(panel, "inside", element("p", group.ops + (group.ops === 1 ? " op" : " ops")));
  const leaves = inside.filter((node) => node.leaf);
  if (leaves.length > 0) put(panel, "parameters", ...leaves.map((leaf) => line([link(leaf.id), "  " + leaf.outputs[0].shape])));
  const button = element("button", group.open ? "close" : "open");
  button.onclick = () => toggle(group);
  panel.append(element("h3"), button);
}

function showLegend(panel) {
  panel.append(element("h2", "What is seen here"));
  for (const text of ["Each box is an op that was recorded; lines run from what it was computed from to what used it. Rounded boxes are leaves: parameters, and other tensors that require a gradient.",
      "Click a box for its shapes, its value and gradient as far as they are known, and its contract. Click the title of a module, or double-click it closed, to open or close it.",
      "Drag to move, turn the wheel to zoom. Keys: f the whole graph, e open all, c close all, left and right the steps of the backward pass."])
    panel.append(element("p", text));
}

function show() {
  const panel = byId("panel");
  panel.replaceChildren();
  if (!selected) showLegend(panel);
  else if (selected.item.group) showGroup(panel, selected.item);
  else showNode(panel, selected.item);
}

// ---- what can be done ----

function select(item, center = false) {
  selected = item ? { item, ids: new Set(item.group ? [] : [item.id]) } : null;
  if (item && center) {
    let hidden = false;
    for (let g = item.parent; g; g = g.parent) hidden = hidden || !g.open;
    if (hidden) reveal(item), (scene = layout());
    const b = scene.boxes.find((box) => box.item === item);
    if (view.scale < 0.5) view.scale = 0.9;
    view.x = canvas.clientWidth / 2 - (b.x + b.w / 2) * view.scale;
    view.y = canvas.clientHeight / 2 - (b.y + b.h / 2) * view.scale;
  }
  show();
  redraw();
}

// The title stays where it is on the screen.
function toggle(group) {
  const before = scene.boxes.find((b) => b.item === group);
  group.open = !group.open;
  scene = layout();
  const after = scene.boxes.find((b) => b.item === group);
  view.x += (before.x - after.x) * view.scale, view.y += (before.y - after.y) * view.scale;
  show();
  redraw();
}
function openAll(open) {
  eachGroup((group) => (group.open = open));
  scene = layout();
  show();
  fit();
}

function go(step) {
  at = Math.max(0, Math.min(data.steps.length, step));
  byId("step").value = at;
  byId("where").textContent = "backward, step " + at + " of " + data.steps.length;
  const text = byId("passed");
  text.replaceChildren();
  const s = data.steps[at - 1];
  if (s) {
    const arrived = s.arrived.map((g, i) => (s.arrived.length > 1 ? "at output " + i + " " : "") + (g ? g.text : "nothing")).join("; ");
    text.append(element("b", s.node < 0 ? "?" : label(s.node)), " has all of its gradient: " + arrived);
    for (const sent of s.sent)
      text.append(element("br"), "\u2191 ", link(sent.to), (sent.before ? " gets, added to " + sent.before.text + ": " : " gets, as the first: ") + sent.gradient.text);
  } else if (data.steps.length > 0) {
    text.append("Move the slider to go through the backward pass: from the newest op to the oldest, so that each has all of its gradient when its turn comes.");
  }
  if (selected) show();
  redraw();
}

// ---- events ----

let held = null;
canvas.addEventListener("pointerdown", (e) => {
  held = { x: e.clientX, y: e.clientY, moved: false };
  canvas.setPointerCapture(e.pointerId);
});
canvas.addEventListener("pointermove", (e) => {
  if (!held) return;
  const dx = e.clientX - held.x, dy = e.clientY - held.y;
  if (!held.moved && Math.hypot(dx, dy) < 4) return;
  held.moved = true;
  canvas.classList.add("moving");
  view.x += dx, view.y += dy, held.x = e.clientX, held.y = e.clientY;
  redraw();
});
canvas.addEventListener("pointerup", (e) => {
  canvas.classList.remove("moving");
  if (held && !held.moved) {
    const area = canvas.getBoundingClientRect();
    const b = boxAt(e.clientX - area.left, e.clientY - area.top);
    const onTitle = b && b.item.group && b.item.open && (e.clientY - area.top - view.y) / view.scale < b.y + kGap.title;
    select(b ? b.item : null);
    if (onTitle) toggle(b.item);
  }
  held = null;
});
canvas.addEventListener("dblclick", (e) => {
  const area = canvas.getBoundingClientRect();
  const b = boxAt(e.clientX - area.left, e.clientY - area.top);
  if (b && b.item.group && !b.item.open) toggle(b.item);
});
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  const area = canvas.getBoundingClientRect(), x = e.clientX - area.left, y = e.clientY - area.top;
  const scale = Math.min(4, Math.max(0.005, view.scale * Math.exp(-e.deltaY / 500)));
  view.x = x - ((x - view.x) * scale) / view.scale, view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  redraw();
}, { passive: false });
window.addEventListener("resize", redraw);
window.addEventListener("keydown", (e) => {
  if (e.target.tagName === "INPUT") return;
  const action = { f: () => fit(), e: () => openAll(true), c: () => openAll(false), ArrowLeft: () => go(at - 1), ArrowRight: () => go(at + 1) }[e.key];
  if (action) action();
});
byId("fit").onclick = () => fit();
byId("all").onclick = () => openAll(true);
byId("none").onclick = () => openAll(false);
byId("step").oninput = (e) => go(Number(e.target.value));
byId("back").onclick = () => go(at - 1);
byId("forth").onclick = () => go(at + 1);
byId("search").oninput = (e) => {
  const sought = e.target.value.toLowerCase();
  const found = sought && nodes.find((node) => (node.name + " " + node.op).toLowerCase().includes(sought));
  if (found) select(found, true);
};

(function begin() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const ops = nodes.filter((node) => !node.leaf).length;
  document.title = byId("title").textContent = data.title;
  byId("summary").textContent = nodes.length === 0 ? "no history" : count(ops, "op", "ops") + ", " + count(nodes.length - ops, "leaf", "leaves");
  byId("note").textContent = data.note;
  byId("note").hidden = !data.note;
  byId("step").max = data.steps.length;
  byId("slider").hidden = data.steps.length === 0;
  if (wanted.get("open") === "all") eachGroup((group) => (group.open = true));
  else if (wanted.get("open") !== "none") openSome(60);
  const start = performance.now();
  scene = layout();
  const laidOut = performance.now();
  go(Number(wanted.get("step") || 0));
  if (data.steps.length === 0) byId("passed").textContent = "The gradients of the steps of a backward pass are not in this page.";
  wanted.has("whole") ? fit() : fitBeginning();
  draw();
  const drawn = performance.now();
  // for tests
  document.body.dataset.drawn = scene.boxes.length + " boxes, " + scene.lines.length + " lines";
  document.body.dataset.milliseconds = Math.round(laidOut - start) + " to lay out, " + Math.round(drawn - laidOut) + " to draw";
  const chosen = wanted.get("select");
  if (chosen !== null && nodes[Number(chosen)]) select(nodes[Number(chosen)], wanted.has("center"));
  else show();
})();
