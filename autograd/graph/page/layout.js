// Where things stand: layers from top to bottom (Sugiyama, Tagawa and Toda, 1981), for each open group by itself and
// from inside to outside, so that an open group is one large box in the group around it. Edges that enter or leave a
// group pass through ports on its frame; those that skip layers pass through bends, which are laid out as nodes.

const kGap = { x: 18, y: 30, pad: 14, title: 26 };
const pen = document.getElementById("picture").getContext("2d");
const kFonts = { op: "600 13px system-ui, 'DejaVu Sans', sans-serif", small: "11.5px system-ui, 'DejaVu Sans', sans-serif" };

// "weight", in the frame of blocks.0.mlp.0
function localName(leaf) {
  const path = leaf.modules.slice(1).map((m) => m[0] + ".").join("");
  return path && leaf.name.startsWith(path) ? leaf.name.slice(path.length) : leaf.name;
}
function measure(item) {
  const width = (text, font) => ((pen.font = font), pen.measureText(text).width);
  if (item.group) {
    const [name, type] = item.module;
    const last = nodes[nodesIn(item).reduce((a, b) => Math.max(a, b))];
    const what = item.ops === 1 ? last.outputs[0].shape : item.ops + " ops";
    item.lines = [name || type, (name ? type + "  " : "") + what];
  } else {
    const shapes = item.outputs.map((y) => y.shape + (y.dtype === "float32" ? "" : " " + y.dtype)).join("  ");
    item.lines = item.leaf ? [localName(item) || "leaf", shapes] : [item.name ? item.op + "  " + item.name : item.op, shapes];
  }
  item.w = Math.max(54, width(item.lines[0], kFonts.op) + 24, width(item.lines[1], kFonts.small) + 24);
  item.h = 42;
}

// Lays out the inside of an open group, and sets its w and h. Places are relative to the group.
function layoutGroup(group, edges) {
  const inner = [...(edges.get(group) || new Map()).values()];
  const vertices = [];
  const vertexOf = new Map();
  const vertex = (key, fields) => {
    if (!vertexOf.has(key)) vertexOf.set(key, vertices[vertices.push({ ins: [], outs: [], ...fields }) - 1]);
    return vertexOf.get(key);
  };
  for (const child of group.children) {
    if (child.group && child.open) layoutGroup(child, edges);
    else measure(child);
    vertex(child, { item: child, w: child.w, h: child.h });
  }
  const links = [];
  for (const edge of inner) {
    const from = edge.from.port ? vertex(edge.from.port, { port: edge.from.port, top: true, w: 2, h: 0 }) : vertexOf.get(edge.from.item);
    const to = edge.to.port ? vertex(edge.to.port, { port: edge.to.port, bottom: true, w: 2, h: 0 }) : vertexOf.get(edge.to.item);
    links.push({ edge, from, to });
  }
  for (const link of links) link.from.outs.push(link), link.to.ins.push(link);
  const layers = bend(vertices, links);
  order(layers);
  const width = place(layers);

  let y = group === root ? 0 : kGap.title, empty = true;
  for (const layer of layers) {
    const onlyPorts = layer.every((v) => v.port);
    const h = Math.max(0, ...layer.map((v) => v.h));
    if (!onlyPorts) y += empty ? (group === root ? 0 : 12) : kGap.y, (empty = false);
    for (const v of layer) v.y = y + (h - v.h) / 2, v.layer = [y, y + h];
    y += h;
  }
  group.w = Math.max(width + 2 * kGap.pad, group === root ? 0 : titleWidth(group));
  group.h = y + kGap.pad;
  const shift = (group.w - width) / 2;
  for (const v of vertices) {
    v.x += shift;
    if (v.item) v.item.x = v.x - v.w / 2, v.item.y = v.y;
    if (v.port) v.port.x = v.x;
  }
  // straight down through each layer, so that no line runs over a box; between layers to where it goes on
  const trunks = new Map();
  group.routes = links.map(({ edge, from, to, trunk, turn }) => {
    const x = from.port ? from.x : from.x - from.w / 2 + anchor(edge.from, from);
    const start = [[x, from.port ? 0 : from.y + from.h], [x, from.port ? kGap.title : from.layer[1]]];
    const end = to.port ? to.x : to.x - to.w / 2 + anchor(edge.to, to);
    const points = [[end, to.port ? group.h - kGap.pad : to.layer[0]], [end, to.port ? group.h : to.y]];
    if (!trunk || turn < 0) return { edge, points: [...start, ...points], long: !trunk };
    if (!trunks.has(trunk)) trunks.set(trunk, [...start, ...trunk.flatMap((b) => [[b.x + shift, b.layer[0]], [b.x + shift, b.layer[1]]])]);
    const whole = trunks.get(trunk);
    return { edge, points: [whole[2 * turn + 3], ...points], trunk: whole, turn: 2 * turn + 3 };
  });
  for (const points of trunks.values()) group.routes.push({ points });
}
const titleWidth = (group) => ((pen.font = kFonts.op), pen.measureText((group.module[0] ? group.module[0] + "  " : "") + group.module[1]).width + 40);
// Where an edge meets a box, from its left side: at a port of an open group, else in the middle.
const anchor = (end, v) => (end.outer ? end.outer.x : v.w / 2);

// Gives each vertex a layer and long edges their bends; returns the layers.
function bend(vertices, links) {
  const first = vertices.some((v) => v.top) ? 1 : 0;
  for (const v of vertices) (v.rank = v.top ? 0 : first), (v.pending = v.ins.length);
  const sorted = vertices.filter((v) => v.ins.length === 0);
  for (let i = 0; i < sorted.length; ++i)
    for (const { to } of sorted[i].outs) {
      to.rank = Math.max(to.rank, sorted[i].rank + 1);
      if (--to.pending === 0) sorted.push(to);
    }
  // what nothing comes into stands just above what takes it
  for (const v of sorted) if (v.ins.length === 0 && v.outs.length > 0 && !v.top) v.rank = Math.min(...v.outs.map((e) => e.to.rank)) - 1;
  const last = Math.max(0, ...vertices.filter((v) => !v.bottom).map((v) => v.rank));
  for (const v of vertices) if (v.bottom) v.rank = last + 1;
  const layers = Array.from({ length: Math.max(0, ...vertices.map((v) => v.rank)) + 1 }, () => []);
  for (const v of sorted) layers[v.rank].push(v);

  // What goes from one place to several shares its bends: a trunk, from which each line turns off in the layer above its
  // end. Where trunks would have more bends than there are nodes, the longest lines go straight.
  const places = new Map();
  for (const link of links) {
    const key = link.from.item ? link.from.item.id + (link.edge.from.outer ? " " + link.edge.from.outer.key : "") : link.from.port.key;
    if (!places.has(key)) places.set(key, []);
    places.get(key).push(link);
  }
  const length = (group) => Math.max(...group.map((link) => link.to.rank - link.from.rank)) - 1;
  const join = (a, b, start, end) => {
    (a.below = a.below || []).push([b, end - start]);
    (b.above = b.above || []).push([a, start - end]);
  };
  let left = 4 * vertices.length + 2000;
  for (const group of [...places.values()].sort((a, b) => length(a) - length(b))) {
    const { from, edge } = group[0];
    left -= length(group);
    if (left < 0) break;
    const start = edge.from.outer ? edge.from.outer.x - from.w / 2 : 0;
    const trunk = [];
    for (let rank = from.rank + 1; rank <= from.rank + length(group); ++rank) {
      const b = { bend: true, ofLeaf: from.item && from.item.leaf, w: 4, h: 0, rank };
      layers[rank].push(b);
      join(trunk.length > 0 ? trunk[trunk.length - 1] : from, b, trunk.length > 0 ? 0 : start, 0);
      trunk.push(b);
    }
    for (const link of group) {
      link.trunk = trunk;
      link.turn = link.to.rank - from.rank - 2;  // where it leaves the trunk
      const end = link.edge.to.outer ? link.edge.to.outer.x - link.to.w / 2 : 0;
      join(link.turn < 0 ? from : trunk[link.turn], link.to, link.turn < 0 ? start : 0, end);
    }
  }
  return layers;
}

// Fewer crossings: each layer is sorted by where its neighbours stand, downwards and upwards in turn.
function order(layers) {
  const total = layers.reduce((sum, layer) => sum + layer.length, 0);
  const number = (layer) => layer.forEach((v, i) => (v.at = i));
  layers.forEach(number);
  const sweep = (layer, side) => {
    for (const v of layer) {
      const next = v[side] || [];
      v.key = next.length > 0 ? next.reduce((sum, [n, offset]) => sum + n.at + offset / 1e4, 0) / next.length : v.at;
    }
    layer.sort((a, b) => a.key - b.key || a.at - b.at);
    number(layer);
  };
  const crossings = () => {
    let sum = 0;
    for (const layer of layers) {
      const ends = layer.flatMap((v) => (v.below || []).map(([n, offset]) => n.at + offset / 1e4).sort((a, b) => a - b));
      for (let i = 0; i < ends.length; ++i) for (let k = i + 1; k < ends.length; ++k) sum += ends[i] > ends[k];
    }
    return sum;
  };
  const exact = total <= 400 && layers.every((layer) => layer.length < 80);
  let best = exact ? crossings() : 0;
  let kept = layers.map((layer) => [...layer]);
  for (let turn = 0; turn < (total > 3000 ? 4 : 12); ++turn) {
    if (turn % 2 === 0) for (let i = 1; i < layers.length; ++i) sweep(layers[i], "above");
    else for (let i = layers.length - 2; i >= 0; --i) sweep(layers[i], "below");
    if (!exact) continue;
    const now = crossings();
    if (now < best) (best = now), (kept = layers.map((layer) => [...layer]));
  }
  if (exact) layers.forEach((layer, i) => layer.splice(0, layer.length, ...kept[i]));
  layers.forEach(number);
}

// x of the middle of each vertex: as near as may be to its neighbours, in its order and with its distance. For one layer
// that is a regression to a rising line, which pooling the neighbours that stand in each other's way solves exactly.
function place(layers) {
  const distance = (a, b) => (a.w + b.w) / 2 + (a.bend && b.bend ? 8 : kGap.x);
  // long lines should be straight, and the way of the data rather than what parameters bring to it
  const isLeaf = (v) => (v.bend ? v.ofLeaf : v.item && v.item.leaf);
  const weightOf = (v, n) => (v.bend && n.bend ? 8 : isLeaf(v) || isLeaf(n) ? 0.02 : 1);
  for (const layer of layers) layer.forEach((v, i) => (v.x = i === 0 ? 0 : layer[i - 1].x + distance(layer[i - 1], v)));
  const settle = (layer, sides) => {
    const blocks = [];
    let offset = 0;
    layer.forEach((v, i) => {
      if (i > 0) offset += distance(layer[i - 1], v);
      const near = sides.flatMap((side) => (v[side] || []).map(([n, shift]) => ({ x: n.x + shift, weight: weightOf(v, n) })));
      const weight = near.reduce((sum, n) => sum + n.weight, 0);
      const wish = (weight > 0 ? near.reduce((sum, n) => sum + n.weight * n.x, 0) / weight : v.x) - offset;
      let block = { wish, weight: weight || 0.1, from: i };
      while (blocks.length > 0 && blocks[blocks.length - 1].wish > block.wish) {
        const other = blocks.pop();
        const both = other.weight + block.weight;
        block = { wish: (other.wish * other.weight + block.wish * block.weight) / both, weight: both, from: other.from };
      }
      blocks.push(block);
    });
    offset = 0;
    let b = 0;
    layer.forEach((v, i) => {
      if (i > 0) offset += distance(layer[i - 1], v);
      while (b + 1 < blocks.length && blocks[b + 1].from <= i) ++b;
      v.x = blocks[b].wish + offset;
    });
  };
  for (let turn = 0; turn < 8; ++turn) {
    for (let i = 1; i < layers.length; ++i) settle(layers[i], ["above"]);
    for (let i = layers.length - 2; i >= 0; --i) settle(layers[i], ["below"]);
  }
  for (let turn = 0; turn < 4; ++turn) for (const layer of layers) settle(layer, ["above", "below"]);
  let left = Infinity, right = -Infinity;
  for (const layer of layers)
    for (const v of layer) (left = Math.min(left, v.x - v.w / 2)), (right = Math.max(right, v.x + v.w / 2));
  if (left > right) return 0;
  for (const layer of layers) for (const v of layer) v.x -= left;
  return right - left;
}

// Lays out all that is open. Returns the boxes and the lines of the picture, in its own coordinates.
function layout() {
  // each edge between shown things, cut into one for each group that it passes through
  const edges = new Map();
  const whole = new Map();
  const ancestors = (item) => {
    const list = [];
    for (let g = item.parent; g; g = g.parent) list.push(g);
    return list;
  };
  const name = (end) => (end.port ? end.port.key : end.item.id + (end.outer ? " " + end.outer.key : ""));
  const add = (group, from, to, pairs) => {
    if (!edges.has(group)) edges.set(group, new Map());
    const known = edges.get(group), key = name(from) + ">" + name(to);
    if (known.has(key)) known.get(key).pairs.push(...pairs);
    else known.set(key, { from, to, pairs: [...pairs] });
  };
  for (const node of nodes)
    for (const [from] of node.inputs) {
      if (from < 0) continue;
      const a = shownAs(nodes[from]), b = shownAs(node);
      if (a === b) continue;
      const key = a.id + ">" + b.id;
      if (whole.has(key)) whole.get(key).pairs.push([from, node.id]);
      else whole.set(key, { a, b, pairs: [[from, node.id]] });
    }
  const ports = new Map();
  const port = (group, side, item) => {
    const key = group.id + side + item.id;
    if (!ports.has(key)) ports.set(key, { x: 0, key });
    return ports.get(key);
  };
  for (const { a, b, pairs } of whole.values()) {
    const upA = ancestors(a), upB = ancestors(b);
    const common = upA.find((g) => upB.includes(g));
    let from = { item: a };
    for (const g of upA) {
      if (g === common) break;
      const p = port(g, "out", a);
      add(g, from, { port: p }, pairs);
      from = { item: g, outer: p };
    }
    let to = { item: b };
    for (const g of upB) {
      if (g === common) break;
      const p = port(g, "in", a);
      add(g, { port: p }, to, pairs);
      to = { item: g, outer: p };
    }
    add(common, from, to, pairs);
  }
  layoutGroup(root, edges);

  const boxes = [], lines = [];
  const isBox = (end) => !end.port && !end.outer;
  (function flatten(group, x, y) {
    for (const child of group.children) {
      boxes.push({ item: child, x: x + child.x, y: y + child.y, w: child.w, h: child.h });
      if (child.group && child.open) flatten(child, x + child.x, y + child.y);
    }
    const moved = new Map();
    const move = (points) => points.map(([px, py]) => [px + x, py + y]);
    for (const { edge, points, trunk, turn, long } of group.routes) {
      if (trunk && !moved.has(trunk)) moved.set(trunk, move(trunk));
      lines.push({ points: move(points), trunk: moved.get(trunk), turn, long, pairs: edge ? edge.pairs : [], starts: edge && isBox(edge.from), ends: edge && isBox(edge.to) });
    }
  })(root, 0, 0);
  return { boxes, lines, w: root.w, h: root.h };
}
