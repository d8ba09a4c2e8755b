// The modules as a tree. Nodes come in an order in which each follows what it depends on; a group is a run of
// neighbours in that order, so that groups depend on one another one way, whichever of them are closed. A module that
// is called twice is two groups, if something came between.

window.addEventListener("error", (e) => {
  const note = document.getElementById("note");
  note.hidden = false;
  note.textContent = "The page has a fault: " + e.message;
});

const data = JSON.parse(document.getElementById("data").textContent);
const nodes = data.nodes;
nodes.forEach((node, id) => {
  node.id = id;
  node.users = [];
});
for (const node of nodes)
  for (const [from] of node.inputs) if (from >= 0 && !nodes[from].users.includes(node.id)) nodes[from].users.push(node.id);

const sameModules = (a, b) => a.length === b.length && a.every((m, i) => m[0] === b[i][0] && m[1] === b[i][1]);
const root = { group: true, id: "", parent: null, children: [], depth: 0, open: true };

(function build() {
  let open = root;
  let count = 0;
  const enter = (modules) => {
    const path = [];
    for (let g = open; g !== root; g = g.parent) path.unshift(g.module);
    let common = 0;
    while (common < path.length && common < modules.length && sameModules([path[common]], [modules[common]])) ++common;
    while (open.depth > common) open = open.parent;
    for (; common < modules.length; ++common) {
      const group = { group: true, id: "g" + count++, parent: open, children: [], depth: common + 1, open: false };
      group.module = modules[common];
      open.children.push(group);
      open = group;
    }
    return open;
  };
  const add = (group, node) => {
    node.parent = group;
    group.children.push(node);
  };
  const leaves = [];
  for (const node of nodes) {
    if (node.leaf) continue;
    const group = enter(node.modules);
    for (const [from] of node.inputs) {
      const leaf = from >= 0 ? nodes[from] : node;
      if (!leaf.leaf || leaf.parent) continue;
      // a parameter is in the module that takes it first, any other leaf outside of all
      if (leaf.modules.length > 0 && sameModules(leaf.modules, node.modules)) add(group, leaf);
      else leaf.parent = root, leaves.push(leaf);
    }
    add(group, node);
  }
  for (const node of nodes) if (!node.parent) node.parent = root, leaves.push(node);
  root.children.unshift(...leaves);
})();

const eachGroup = (f, group = root) => {
  for (const child of group.children) if (child.group) f(child), eachGroup(f, child);
};
function nodesIn(item) {
  if (!item.group) return [item.id];
  if (!item.all) item.all = item.children.flatMap(nodesIn);
  return item.all;
}
const countOps = (item) => (item.group ? item.children.reduce((sum, child) => sum + countOps(child), 0) : item.leaf ? 0 : 1);
eachGroup((group) => (group.ops = countOps(group)));

// What stands for a node in the picture: itself, or the outermost closed group around it.
function shownAs(node) {
  let shown = node;
  for (let g = node.parent; g; g = g.parent) if (!g.open) shown = g;
  return shown;
}
function reveal(node) {
  for (let g = node.parent; g; g = g.parent) g.open = true;
}
// Opens groups from outside to inside as long as the picture stays small. A layer of one op says enough when closed.
function openSome(limit) {
  let shown = root.children.length;
  for (let level = [root]; level.length > 0; ) {
    const next = level.flatMap((g) => g.children.filter((c) => c.group && c.ops > 1));
    next.sort((a, b) => a.children.length - b.children.length);
    for (const group of next)
      if (shown + group.children.length <= limit || shown <= 3) group.open = true, shown += group.children.length;
    level = next.filter((g) => g.open);
  }
}
