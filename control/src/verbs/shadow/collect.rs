//! `headgate shadow collect`: takes in the records that proxies send, until it is ended.

use std::io::Write as _;

use serde_json::json;

use crate::answer::Answer;
use crate::cli::shadow::Collect;
use crate::exit::Failure;
use crate::server;
use crate::shadow::collect::{Collector, Out, PATH, TOKEN, router};

pub(super) fn run(args: &Collect, as_json: bool) -> Result<Answer, Failure> {
    let records = &args.records;
    let out = Out { path: records.out.clone(), rotate: records.rotate, keep: records.keep };
    let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let say = |text: &str| {
        let _closed = writeln!(std::io::stderr(), "{text}");
    };
    let collector = Collector::start(out, token, say)?;
    let at = server::serve(&args.listen, router(collector))?;
    let text = if as_json {
        json!({"listening": at, "path": PATH, "file": records.out}).to_string()
    } else {
        format!("listening on {at}{PATH}, writing to {}", records.out.display())
    };
    let _closed = writeln!(std::io::stdout(), "{text}");
    // The server and the writer have threads of their own; ending the process loses no record that was written.
    loop {
        std::thread::park();
    }
}
