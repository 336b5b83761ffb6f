//! `make demo` fails when something it shows is untrue: here `headgate set` says that it is done and does nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

#[test]
fn the_demo_fails_when_a_weight_change_is_claimed_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let liar = folder.path().join("headgate");
    let headgate = headgate_tests::headgate_binary().unwrap();
    let script = format!("#!/bin/sh\n[ \"$1\" = set ] && exit 0\nexec '{}' \"$@\"\n", headgate.display());
    std::fs::write(&liar, script).unwrap();
    std::fs::set_permissions(&liar, std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    let output = demo.env("HEADGATE_BIN", &liar).stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    let untrue: Vec<&str> = shown.lines().filter(|line| line.trim_start().starts_with("NO ")).collect();
    assert!(untrue.iter().any(|line| line.contains("not by the new weights: expected 0")), "{shown}");
    assert!(untrue.iter().any(|line| line.contains("users who moved")), "{shown}");
    // What came before it was true, and is shown so.
    let before: Vec<&str> = shown.lines().take_while(|line| !line.starts_with("5  ")).collect();
    assert!(before.iter().any(|line| line.trim_start().starts_with("ok ")), "{shown}");
    assert!(!before.iter().any(|line| line.trim_start().starts_with("NO ")), "{shown}");
}
