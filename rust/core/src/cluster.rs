//! Which node serves which hash slot. A standalone server is a map of one node.

use crate::slot;

/// Index of a node in the map that it is from.
pub type NodeIndex = u16;

/// Hash slot to node.
#[derive(Debug, Clone)]
pub enum SlotMap {
    /// One node serves every slot.
    Standalone,
    /// The node of each of the 16,384 slots.
    Cluster(Box<[NodeIndex]>),
}

impl SlotMap {
    /// A map from `(first slot, last slot, node)`; `None` if a slot is left out.
    pub fn from_ranges(ranges: &[(u16, u16, NodeIndex)]) -> Option<Self> {
        let mut nodes: Vec<Option<NodeIndex>> = vec![None; usize::from(slot::SLOTS)];
        for &(first, last, node) in ranges {
            nodes
                .get_mut(usize::from(first)..=usize::from(last))?
                .fill(Some(node));
        }
        nodes
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(|nodes| Self::Cluster(nodes.into()))
    }

    /// The node that serves `key`.
    pub fn node_of(&self, key: &[u8]) -> NodeIndex {
        match self {
            Self::Standalone => 0,
            Self::Cluster(nodes) => nodes[usize::from(slot::of(key))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_covers_every_slot() {
        assert!(SlotMap::from_ranges(&[(0, 8_000, 0), (8_002, 16_383, 1)]).is_none());
        assert!(SlotMap::from_ranges(&[(0, 16_384, 0)]).is_none());
        let map = SlotMap::from_ranges(&[(0, 8_191, 0), (8_192, 16_383, 1)]).unwrap();
        assert_eq!(map.node_of(b"foo"), 1, "slot 12182");
        assert_eq!(map.node_of(b"bar"), 0, "slot 5061");
        assert_eq!(SlotMap::Standalone.node_of(b"foo"), 0);
    }
}
