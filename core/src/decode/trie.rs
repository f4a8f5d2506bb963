//! The pointers a topic's plan names, merged into one tree, so that one pass over a reading finds them all.

use std::ops::Range;

use crate::plan::Pointer;

/// Names the place where the value at one pointer is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub(super) usize);

/// Pointers merged by their common steps. Slots are numbered so that those below a node are neighbours.
#[derive(Debug, Default)]
pub(super) struct Trie {
    root: Node,
    slots: usize,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    children: Vec<(Box<str>, Node)>,
    wanted: Vec<usize>,
    slot: Option<Slot>,
    below: Range<usize>,
}

impl Trie {
    /// Merges `pointers`; the slot of each is [`Trie::slot`] of its place in the list.
    pub(super) fn new(pointers: &[&Pointer]) -> (Self, Vec<Slot>) {
        let mut root = Node::default();
        for (index, pointer) in pointers.iter().enumerate() {
            let mut node = &mut root;
            for step in pointer.steps() {
                let place = match node.children.iter().position(|(key, _)| key == step) {
                    Some(place) => place,
                    None => {
                        node.children.push((step.clone(), Node::default()));
                        node.children.len() - 1
                    }
                };
                node = &mut node.children[place].1;
            }
            node.wanted.push(index);
        }
        let mut slots = vec![Slot(0); pointers.len()];
        let count = root.number(0, &mut slots);
        (Self { root, slots: count }, slots)
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }
}

impl Node {
    /// The node under `key`.
    #[inline]
    pub(super) fn child(&self, key: &str) -> Option<&Node> {
        self.children.iter().find(|(name, _)| &**name == key).map(|(_, node)| node)
    }

    /// The node under the array index `index`.
    pub(super) fn at_index(&self, index: usize) -> Option<&Node> {
        if self.children.is_empty() {
            return None;
        }
        self.child(&index.to_string())
    }

    /// Whether nothing below this node is asked for.
    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// Where the value at this node is captured, if it is asked for.
    pub(super) fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// The slots of this node and of everything below it.
    pub(super) fn below(&self) -> Range<usize> {
        self.below.clone()
    }

    fn number(&mut self, first: usize, slots: &mut [Slot]) -> usize {
        let mut next = first;
        if !self.wanted.is_empty() {
            self.slot = Some(Slot(next));
            for &index in &self.wanted {
                slots[index] = Slot(next);
            }
            next += 1;
        }
        for (_, child) in &mut self.children {
            next = child.number(next, slots);
        }
        self.below = first..next;
        next
    }
}
