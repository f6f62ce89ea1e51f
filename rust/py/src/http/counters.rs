//! The counters of a route's requests.

use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use fscore_core::convert::count_f64;
use fscore_core::table::Table;
use fscore_core::types::Status;

/// The counters of one route, in an array of doubles that worker processes share. Only this process
/// writes to them.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct RouteCounters {
    slots: PyBuffer<f64>,
    places: CounterIndices,
    /// The histogram's bounds in seconds, in ascending order.
    bounds: Vec<f64>,
}

/// The index of each counter in the array.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct CounterIndices {
    /// Requests that are being answered.
    in_flight: usize,
    /// Requests that were answered before ASGI, on all routes.
    hot: usize,
    /// Values by status code, one after the other.
    values: usize,
    /// Requests that were answered.
    answered: usize,
    /// Requests whose caller left.
    gone: usize,
    /// The histogram: a count for each bound, one for greater values, and the sum.
    buckets: usize,
}

#[pymethods]
impl RouteCounters {
    #[new]
    fn new(slots: PyBuffer<f64>, places: CounterIndices, bounds: Vec<f64>) -> PyResult<Self> {
        let last = [
            places.in_flight,
            places.hot,
            places.values + Status::ALL.len() - 1,
            places.answered,
            places.gone,
            places.buckets + bounds.len() + 1,
        ];
        let length = slots.item_count();
        let writable = slots.is_c_contiguous() && !slots.readonly();
        if !writable || last.iter().any(|&place| place >= length) {
            return Err(PyValueError::new_err(
                "the slots must be a contiguous, writable array of doubles that has every index",
            ));
        }
        Ok(Self {
            slots,
            places,
            bounds,
        })
    }
}

impl RouteCounters {
    /// The number of requests that are being answered, on all routes.
    pub(super) fn in_flight(&self, py: Python<'_>) -> f64 {
        read(&self.slots(py)[self.places.in_flight])
    }

    pub(super) fn started(&self, py: Python<'_>) {
        add(&self.slots(py)[self.places.in_flight], 1.0);
    }

    /// A request is handed over. The application answers and counts it.
    pub(super) fn left(&self, py: Python<'_>) {
        add(&self.slots(py)[self.places.in_flight], -1.0);
    }

    pub(super) fn answered(&self, py: Python<'_>, seconds: f64, table: &Table) {
        let slots = self.slots(py);
        self.finished(slots, self.places.answered, seconds);
        add(&slots[self.places.hot], 1.0);
        let values = &slots[self.places.values..];
        if table.all_present() {
            let count = table.statuses().len();
            add(&values[Status::Present as usize], count_f64(count));
        } else {
            for &status in table.statuses() {
                add(&values[usize::from(status)], 1.0);
            }
        }
    }

    pub(super) fn gone(&self, py: Python<'_>, seconds: f64) {
        self.finished(self.slots(py), self.places.gone, seconds);
    }

    fn finished(&self, slots: &[AtomicU64], place: usize, seconds: f64) {
        add(&slots[self.places.in_flight], -1.0);
        add(&slots[place], 1.0);
        let buckets = &slots[self.places.buckets..];
        let bucket = self.bounds.partition_point(|&bound| bound < seconds);
        add(&buckets[bucket], 1.0);
        add(&buckets[self.bounds.len() + 1], seconds);
    }

    /// The bits of the doubles. Other processes read them at any time, and never see half of one.
    fn slots<'py>(&'py self, _py: Python<'py>) -> &'py [AtomicU64] {
        const { assert!(align_of::<AtomicU64>() == align_of::<f64>()) };
        // SAFETY: `new` saw that the buffer is contiguous and writable. It is held, so it neither
        // moves nor shrinks while `self` lives. `PyBuffer<f64>` checked its alignment, which is
        // that of the atomics. This process writes to it only while the interpreter is attached, as
        // `_py` shows it is; other processes map the memory, and every access here is atomic.
        unsafe { slice::from_raw_parts(self.slots.buf_ptr().cast(), self.slots.item_count()) }
    }
}

fn read(slot: &AtomicU64) -> f64 {
    f64::from_bits(slot.load(Ordering::Relaxed))
}

fn add(slot: &AtomicU64, count: f64) {
    slot.store((read(slot) + count).to_bits(), Ordering::Relaxed);
}
