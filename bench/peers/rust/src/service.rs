//! A service, the features of one view, and its answers as JSON.

use fscore_core::packed::{Decoder, Schema};
use fscore_core::types::{DataType, Scalar};

/// The most bytes that a value usually takes in an answer.
const CELL_BYTES: usize = 24;

pub struct Service {
    pub join_key: String,
    pub features: Vec<String>,
    pub decoder: Decoder,
    entity: String,
    view: String,
}

impl Service {
    /// `None` if a packed row of so many features would be too long.
    pub fn new(
        entity: &str,
        join_key: &str,
        view: &str,
        width: usize,
        fingerprint: u32,
    ) -> Option<Self> {
        let features: Vec<String> = (0..width).map(|i| format!("feature_{i:03}")).collect();
        let double = DataType::Scalar(Scalar::Float64);
        let columns: Vec<_> = features.iter().map(|name| (name.clone(), double)).collect();
        let schema = Schema::new(fingerprint, columns.clone()).ok()?;
        Some(Self {
            join_key: join_key.to_owned(),
            features,
            decoder: Decoder::new(columns, &[schema]),
            entity: entity.to_owned(),
            view: view.to_owned(),
        })
    }

    pub fn hash_key(&self, id: i64) -> String {
        format!("{}:{{{id}}}:v1", self.entity)
    }

    pub fn row_key(&self, id: i64) -> String {
        format!("{}:{{{id}}}:v1:{}", self.entity, self.view)
    }

    pub fn render_one(&self, id: i64, cells: &[Option<f64>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + cells.len() * (CELL_BYTES + 16));
        out.extend_from_slice(b"{\"entity\":{\"");
        out.extend_from_slice(self.join_key.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        out.extend_from_slice(b"},\"features\":{");
        separated(
            &mut out,
            self.features.iter().zip(cells),
            |out, (name, cell)| {
                quote(out, name);
                out.push(b':');
                number(out, *cell);
            },
        );
        out.extend_from_slice(b"},\"version\":1}");
        out
    }

    pub fn render_many(&self, ids: &[i64], cells: &[Option<f64>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + ids.len() * 8 + cells.len() * CELL_BYTES);
        out.extend_from_slice(b"{\"features\":[");
        separated(&mut out, self.features.iter(), |out, name| quote(out, name));
        out.extend_from_slice(b"],\"entities\":{\"");
        out.extend_from_slice(self.join_key.as_bytes());
        out.extend_from_slice(b"\":[");
        separated(&mut out, ids.iter(), |out, id| {
            out.extend_from_slice(itoa::Buffer::new().format(*id).as_bytes());
        });
        out.extend_from_slice(b"]},\"values\":[");
        separated(&mut out, cells.chunks(self.features.len()), |out, row| {
            out.push(b'[');
            separated(out, row.iter(), |out, cell| number(out, *cell));
            out.push(b']');
        });
        out.extend_from_slice(b"],\"version\":1}");
        out
    }
}

fn separated<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut render: impl FnMut(&mut Vec<u8>, T),
) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        render(out, item);
    }
}

fn quote(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, cell: Option<f64>) {
    match cell {
        Some(value) => out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}
