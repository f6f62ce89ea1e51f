//! HTTP requests at a constant rate over kept-alive connections, and how long each one took from
//! when it was due.
//!
//! One thread, so that it takes little from the server it shares a machine with. A request that is
//! due goes out on a connection that waits for nothing, or stands in line for the next one that
//! does; its time runs from when it was due, so a server that stands still for a moment pays for
//! all that should have been sent meanwhile. Latencies go into a histogram of constant size, and
//! nothing is allocated while it measures: a generator that keeps every result in a growing list
//! stands still itself whenever that list is copied. How late it was itself is told beside them.

mod arguments;
mod connection;
mod run;

use std::process::ExitCode;

use arguments::Arguments;

fn main() -> ExitCode {
    let found = Arguments::parse(std::env::args().skip(1)).and_then(|arguments| {
        run::run(&arguments).map_err(|error| format!("{}: {error}", arguments.address))
    });
    match found {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
