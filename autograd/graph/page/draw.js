// The picture: what is visible of the boxes and lines, in two colours for the state of the backward pass.

const canvas = pen.canvas;
const kColors = {
  ink: "#1f2933", pale: "#6b7785", line: "#a3adb8", accent: "#d9541e", selected: "#1b5fa8",
  op: "#ffffff", opBorder: "#8795a3", leaf: "#e3f1e4", leafBorder: "#7fae83", input: "#fdf3d7", inputBorder: "#d0ac4d",
  closed: "#e4ebf5", closedBorder: "#7d95b8", done: "#fdeee7", frame: ["rgba(80,110,150,.07)", "#c3cedb"],
};
let scene = { boxes: [], lines: [], w: 0, h: 0 };
const view = { x: 0, y: 0, scale: 1 };  // the place of the origin on the screen, and pixels for each unit
let frame = 0;
function redraw() {
  if (frame === 0) frame = requestAnimationFrame(() => ((frame = 0), draw()));
}

function draw() {
  const density = window.devicePixelRatio || 1;
  const w = canvas.clientWidth, h = canvas.clientHeight;
  if (canvas.width !== Math.round(w * density)) canvas.width = Math.round(w * density);
  if (canvas.height !== Math.round(h * density)) canvas.height = Math.round(h * density);
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, w, h);
  pen.translate(view.x, view.y);
  pen.scale(view.scale, view.scale);
  const seen = { left: -view.x / view.scale, top: -view.y / view.scale };
  seen.right = seen.left + w / view.scale, seen.bottom = seen.top + h / view.scale;
  const visible = (b) => b.x <= seen.right && b.x + b.w >= seen.left && b.y <= seen.bottom && b.y + b.h >= seen.top;

  for (const b of scene.boxes) if (b.item.group && b.item.open && visible(b)) drawFrame(b);
  const marked = [];
  for (const line of scene.lines) {
    if (!line.box) {
      const xs = line.points.map((p) => p[0]), ys = line.points.map((p) => p[1]);
      line.box = { x: Math.min(...xs), y: Math.min(...ys), w: Math.max(...xs) - Math.min(...xs), h: Math.max(...ys) - Math.min(...ys) };
    }
    const color = lineColor(line);
    if (color) marked.push([line, color]);
    else if (visible(line.box)) drawLine(line.points, line, line.long ? "rgba(163,173,184,.35)" : kColors.line, 1.2);
  }
  const trunks = new Map();  // how far each is marked
  for (const [line, color] of marked) {
    drawLine(line.points, { starts: line.starts && !line.trunk, ends: line.ends }, color, 2.2);
    const known = trunks.get(line.trunk);
    if (line.trunk && !(known && known.line.turn >= line.turn)) trunks.set(line.trunk, { line, color });
  }
  for (const { line, color } of trunks.values()) drawLine(line.trunk.slice(0, line.turn + 1), { starts: line.starts }, color, 2.2);
  if (view.scale >= 0.25) for (const b of scene.boxes) if (b.item.group && b.item.open && visible(b)) drawTitle(b);
  for (const b of scene.boxes) if (!(b.item.group && b.item.open) && visible(b)) drawBox(b);
}

// Lines of the running step carry gradients upwards; those of the selected node are shown too.
function lineColor(line) {
  const step = data.steps[at - 1];
  if (step && line.pairs.some(([from, to]) => to === step.node && step.sent.some((s) => s.to === from))) return kColors.accent;
  if (selected && line.pairs.some(([from, to]) => selected.ids.has(from) || selected.ids.has(to))) return kColors.selected;
  return null;
}

function drawLine(p, line, color, width) {
  const up = color === kColors.accent;
  pen.strokeStyle = pen.fillStyle = color;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(...p[0]);
  for (let i = 1; i < p.length; ++i) {
    const [x0, y0] = p[i - 1], [x1, y1] = p[i];
    if (Math.abs(x1 - x0) < 0.5) pen.lineTo(x1, y1);
    else pen.bezierCurveTo(x0, (y0 + y1) / 2, x1, (y0 + y1) / 2, x1, y1);
  }
  pen.stroke();
  const [x, y] = up ? p[0] : p[p.length - 1], way = up ? 1 : -1;
  if (view.scale < 0.25 || !(up ? line.starts : line.ends)) return;
  pen.beginPath();
  pen.moveTo(x, y), pen.lineTo(x - 4, y + 7 * way), pen.lineTo(x + 4, y + 7 * way);
  pen.fill();
}

function rounded(b, radius) {
  pen.beginPath();
  pen.roundRect(b.x, b.y, b.w, b.h, radius);
}

function drawFrame(b) {
  const isSelected = selected && selected.item === b.item;
  rounded(b, 10);
  pen.fillStyle = kColors.frame[0];
  pen.fill();
  pen.strokeStyle = isSelected ? kColors.selected : kColors.frame[1];
  pen.lineWidth = isSelected ? 2 : 1;
  pen.stroke();
}

// Over the lines, which may run into the frame there.
function drawTitle(b) {
  const [name, type] = b.item.module;
  pen.textAlign = "left", pen.textBaseline = "middle";
  pen.font = kFonts.op;
  pen.fillStyle = kColors.ink;
  pen.strokeStyle = "#e4e9ef", pen.lineWidth = 4, pen.lineJoin = "round";
  const write = (text, x) => (pen.strokeText(text, x, b.y + 14), pen.fillText(text, x, b.y + 14));
  write("\u2212", b.x + 9);
  write(name || type, b.x + 22);
  if (!name) return;
  const width = pen.measureText(name).width;
  pen.font = kFonts.small, pen.fillStyle = kColors.pale;
  write(type, b.x + 29 + width);
}

function drawBox(b) {
  const item = b.item, ids = nodesIn(item);
  const isSelected = selected && selected.item === item;
  const runs = data.steps[at - 1] && ids.includes(data.steps[at - 1].node);
  const isDone = !item.leaf && ids.some((id) => stepOf.has(id) && stepOf.get(id) <= at);
  const kind = item.group ? "closed" : item.leaf ? (item.modules.length > 0 ? "leaf" : "input") : "op";
  if (item.group)  // a sheet of several
    for (const d of [6, 3]) {
      rounded({ x: b.x + d, y: b.y + d, w: b.w, h: b.h }, 8);
      pen.fillStyle = kColors.closed, pen.strokeStyle = kColors.closedBorder, pen.lineWidth = 1;
      pen.fill(), pen.stroke();
    }
  rounded(b, item.leaf ? b.h / 2 : 8);
  pen.fillStyle = isDone && !item.group ? kColors.done : kColors[kind];
  pen.fill();
  pen.strokeStyle = runs ? kColors.accent : isSelected ? kColors.selected : isDone ? "#e0a48a" : kColors[kind + "Border"];
  pen.lineWidth = runs || isSelected ? 2.6 : 1.2;
  pen.stroke();
  if (view.scale < 0.25) return;
  const middle = b.x + b.w / 2;
  pen.textAlign = "center", pen.textBaseline = "middle";
  pen.font = kFonts.op, pen.fillStyle = kColors.ink;
  pen.fillText((item.group ? "+ " : "") + item.lines[0], middle, b.y + 14.5);
  pen.font = kFonts.small, pen.fillStyle = kColors.pale;
  pen.fillText(item.lines[1], middle, b.y + 30.5);
}

function fit(boxes = [{ x: 0, y: 0, w: scene.w, h: scene.h }], largest = 1.25) {
  const left = Math.min(...boxes.map((b) => b.x)), top = Math.min(...boxes.map((b) => b.y));
  const right = Math.max(...boxes.map((b) => b.x + b.w)), bottom = Math.max(...boxes.map((b) => b.y + b.h));
  const w = canvas.clientWidth, h = canvas.clientHeight;
  view.scale = Math.min(largest, (w - 40) / Math.max(1, right - left), (h - 40) / Math.max(1, bottom - top));
  view.x = (w - (left + right) * view.scale) / 2;
  view.y = (h - (top + bottom) * view.scale) / 2;
  redraw();
}

// The whole graph, if it can be read then; else its beginning.
function fitBeginning() {
  fit();
  if (view.scale > 0.55) return;
  view.scale = Math.min(0.9, Math.max(0.55, (canvas.clientWidth - 40) / scene.w));
  const first = scene.boxes.filter((b) => !(b.item.group && b.item.open) && b.y < canvas.clientHeight / view.scale);
  const middle = first.reduce((sum, b) => sum + b.x + b.w / 2, 0) / first.length;
  view.x = canvas.clientWidth / 2 - (scene.w * view.scale < canvas.clientWidth ? scene.w / 2 : middle) * view.scale;
  view.y = 20;
}

function boxAt(px, py) {
  const x = (px - view.x) / view.scale, y = (py - view.y) / view.scale;
  const inside = scene.boxes.filter((b) => x >= b.x && x <= b.x + b.w && y >= b.y && y <= b.y + b.h);
  return inside[inside.length - 1];
}
