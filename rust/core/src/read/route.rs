//! Makes Redis keys from the join keys of a request, and finds the node that has each.

use std::sync::Arc;

use super::part::ReadPart;
use super::{Parts, ReadOptions};
use crate::cluster::{NodeIndex, SlotMap};
use crate::flag::Bit;
use crate::keys::{ByteColumn, EntityKeys, KeyColumn, KeyColumns, KeysError, with_same_ids};
use crate::plan::{Group, KeyTail, ReadPlan, Source};
use crate::resp::encode::write_decimal;

/// The part that has a key, and the key's row in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) part: u32,
    pub(super) row: u32,
}

/// The distinct keys of one group.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupKeys {
    pub(super) keys: ByteColumn,
    /// The offset of each key's bit if the group is a flag; [`NO_BIT`] if the id has no bit.
    pub(super) bits: Vec<u32>,
}

/// Stands for the bit of an id that the pattern makes of no integer.
pub(super) const NO_BIT: u32 = u32::MAX;

/// The keys of every group. And for each entity, the index of each row's distinct key; `None` if it
/// is the row's own number.
pub(super) type Routed = (Vec<GroupKeys>, Vec<Option<Vec<u32>>>);

/// Makes the keys of a request.
pub(super) fn group_keys(
    plan: &ReadPlan,
    keys: &KeyColumns,
    version: i64,
) -> Result<Routed, KeysError> {
    let bound = keys.bind(&plan.join_keys)?;
    let mut versioned = b"}:v".to_vec();
    write_decimal(&mut versioned, version);
    let mut groups = vec![GroupKeys::default(); plan.groups.len()];
    let mut key_of_row = Vec::with_capacity(plan.entities.len());
    for entity in &plan.entities {
        let mut own = entity.groups.clone();
        let Some(first) = own.next() else {
            key_of_row.push(None);
            continue;
        };
        let columns: Vec<(&str, &KeyColumn)> = entity
            .join_keys
            .iter()
            .map(|&key| {
                let (name, column) = &keys.columns[bound[key]];
                (name.as_str(), column)
            })
            .collect();
        let group = &plan.groups[first];
        let (head, tail) = (&group.key_head, tail(group, &versioned));
        let built = EntityKeys::build(head, &columns, &tail, keys.rows())?;
        let lengths = (head.len(), tail.len());
        for other in own {
            groups[other] = same_ids(&plan.groups[other], &built.keys, lengths, &versioned);
        }
        groups[first] = match &group.source {
            Source::Flag(_) => same_ids(group, &built.keys, lengths, &versioned),
            _ => GroupKeys {
                keys: built.keys,
                bits: Vec::new(),
            },
        };
        key_of_row.push(built.key_of_row);
    }
    Ok((groups, key_of_row))
}

fn tail(group: &Group, versioned: &[u8]) -> Vec<u8> {
    match &group.key_tail {
        KeyTail::Versioned(rest) => [versioned, rest].concat(),
        KeyTail::Plain => b"}".to_vec(),
    }
}

fn same_ids(
    group: &Group,
    keys: &ByteColumn,
    (head, tail_length): (usize, usize),
    versioned: &[u8],
) -> GroupKeys {
    let Source::Flag(pattern) = &group.source else {
        let new = (group.key_head.as_slice(), &*tail(group, versioned));
        return GroupKeys {
            keys: with_same_ids(keys, (head, tail_length), new),
            bits: Vec::new(),
        };
    };
    let mut flags = GroupKeys::default();
    let mut key = group.key_head.clone();
    for entity in keys.iter() {
        let id = pattern.integer(&entity[head..entity.len() - tail_length]);
        let Bit { shard, offset } = Bit::of(id.unwrap_or_default());
        key.truncate(group.key_head.len());
        write_decimal(&mut key, shard as i64);
        key.push(b'}');
        flags.keys.push(&key);
        flags.bits.push(id.map_or(NO_BIT, |_| offset));
    }
    flags
}

/// Distributes the keys of each group to the nodes that serve them.
pub(super) fn split(
    plan: &Arc<ReadPlan>,
    groups: &[GroupKeys],
    asked: ReadOptions,
    map: &SlotMap,
) -> (Vec<Option<Vec<Place>>>, Parts) {
    let mut nodes: Vec<NodeIndex> = Vec::new();
    let mut shares: Vec<Vec<GroupKeys>> = Vec::new();
    let mut places = Vec::with_capacity(groups.len());
    for (index, group) in groups.iter().enumerate() {
        let mut group_places = Vec::with_capacity(group.keys.len());
        for (row, key) in group.keys.iter().enumerate() {
            let node = map.node_of(key);
            let part = nodes
                .iter()
                .position(|&known| known == node)
                .unwrap_or_else(|| {
                    nodes.push(node);
                    shares.push(vec![GroupKeys::default(); groups.len()]);
                    nodes.len() - 1
                });
            let share = &mut shares[part][index];
            group_places.push(Place {
                part: part as u32,
                row: share.keys.len() as u32,
            });
            share.keys.push(key);
            share.bits.extend(group.bits.get(row));
        }
        places.push(Some(group_places));
    }
    let parts = shares
        .into_iter()
        .map(|keys| ReadPart::new(plan, keys, asked, true));
    (places, nodes.into_iter().zip(parts).collect())
}
