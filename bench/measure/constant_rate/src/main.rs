//! HTTP requests at a constant rate over kept-alive connections, and how long each one took from
//! when it was due.
//!
//! There is one thread, so that it takes little from the server it shares a machine with. A request
//! that is due is sent on an idle connection, or queues for the next one. Its time counts from when
//! it was due, so a server that stalls pays for all requests that should have been sent meanwhile.
//! Latencies go into a histogram of constant size, and nothing is allocated while it measures: a
//! generator that keeps every result in a growing list itself stalls whenever that list is copied.
//! How late the generator itself was is reported beside them.

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
