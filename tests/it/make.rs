//! What `make` promises before it does anything.

use std::process::{Command, Output};

use headgate_tests::{Result, repository};

fn make(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
    let mut command = Command::new("make");
    // A `make` that runs these tests must not pass its own settings on.
    command.args(arguments).current_dir(repository()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    Ok(command.envs(environment.iter().copied()).output()?)
}

#[test]
fn make_alone_prints_its_targets() -> Result<()> {
    let output = make(&[], &[])?;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    for target in ["demo", "test", "lint", "wasm", "build", "bench", "fuzz", "docker-test", "clean"] {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("make {target} ")));
        assert!(line.is_some_and(|line| line.trim().len() > target.len() + 15), "make {target} in {text}");
    }
    Ok(())
}

#[test]
fn docker_test_without_an_engine_says_so_and_has_an_exit_code_of_its_own() -> Result<()> {
    let script = repository().join("scripts/docker-test");
    let output = Command::new(script).env("DOCKER_HOST", "unix:///nowhere/docker.sock").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{said}");
    assert!(said.contains("no Docker engine answers") && said.contains("nothing was tested"), "{said}");
    assert!(output.stdout.is_empty(), "nothing is built for it: {}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
