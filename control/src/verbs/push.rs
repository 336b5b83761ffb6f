//! `headgate push`: routes of a file into a target.

use crate::answer::Answer;
use crate::cli::published::Push;
use crate::exit::Failure;
use crate::merge::{self, Others};
use crate::plugin::Plugin;
use crate::target::Target;

use crate::write::{Rules, write};

pub(super) fn run(args: &Push) -> Result<Answer, Failure> {
    let target = Target::read(&args.target)?;
    let plugin = Plugin::read(&args.file, Some(&target.name))?;
    let others = if args.whole { Others::Remove } else { Others::Keep };
    let rules = Rules {
        if_revision: args.if_revision,
        replace_vm: args.replace_vm,
        dry_run: args.dry_run,
        adopt: true,
        timeout: args.watch.timeout,
    };
    let written = write(&target, rules, |in_force| Ok(merge::push(in_force, &plugin.document.value, others)))?;
    Ok(Answer { exit: written.exit(), json: written.json(), text: written.text() })
}
