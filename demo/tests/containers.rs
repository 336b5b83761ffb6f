//! `demo --docker` and `envoy/compose.yaml` as far as they go without an engine: what is asked of Docker (in its place stands a script that
//! writes it down), that nothing is left behind, and that what the containers run is understood by the programs in them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on must stop")]

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs the demo with a `docker` that does this, and gives what `docker` was asked, a line each.
fn demo(folder: &Path, docker: &str) -> (Output, Vec<String>) {
    let (script, asked) = (folder.join("docker"), folder.join("asked"));
    std::fs::write(&asked, "").unwrap();
    std::fs::write(&script, format!("#!/bin/sh\necho \"$@\" >> '{}'\n{docker}\n", asked.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
    let output = demo.arg("--docker").env("PATH", path).stdin(Stdio::null()).output().unwrap();
    let asked = std::fs::read_to_string(asked).unwrap();
    (output, asked.lines().map(str::to_owned).collect())
}

#[test]
fn without_an_engine_or_compose_it_says_so_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (docker, asked) in [
        ("echo 'no daemon' >&2; exit 1", &["info --format={{.ServerVersion}}"][..]),
        ("[ \"$1\" = info ] || exit 1", &["info --format={{.ServerVersion}}", "compose version"]),
    ] {
        let (output, seen) = demo(folder.path(), docker);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(77), "{said}");
        assert!(said.contains("nothing was tested"), "{said}");
        assert_eq!(seen, asked);
    }
}

#[test]
fn containers_that_do_not_start_are_taken_down_and_the_demo_fails() {
    let folder = tempfile::tempdir().unwrap();
    // The mounted folder is looked at while it is there.
    let docker = "case \"$*\" in *' up '*) ls \"$HEADGATE_DIR\" >> \"$0.mounted\"; echo 'no image' >&2; exit 1;; esac";
    let (output, seen) = demo(folder.path(), docker);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no image"), "{said}");
    let verbs: Vec<&str> = seen.iter().filter_map(|line| line.split("compose.yaml ").nth(1)).collect();
    assert_eq!(verbs, ["up --detach --build --wait", "down --volumes --timeout 5"], "{seen:?}");
    assert!(seen.iter().skip(2).all(|line| line.contains("--project-name headgate-demo")), "{seen:?}");
    // What `envoy/compose.yaml` mounts is there: the filter, and a first configuration.
    let mounted = std::fs::read_to_string(folder.path().join("docker.mounted")).unwrap();
    assert_eq!(mounted.lines().collect::<Vec<_>>(), ["ecds.yaml", "headgate.wasm"]);
}

/// A service's command, with each value of `changed` in the place of what stands there.
fn command(service: &Value, changed: &[(&str, &str)]) -> Vec<String> {
    let words: Vec<&str> = service["command"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (word, _) in changed {
        assert!(words.contains(word), "{word} in {words:?}");
    }
    let new = |word: &&str| changed.iter().find(|(old, _)| old == word).map_or(*word, |(_, new)| *new).to_owned();
    words.iter().map(new).collect()
}

fn read(path: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(headgate_tests::repository().join(path)).unwrap()).unwrap()
}

/// What the containers would run, run here: each version by its own command, at the name and port where Envoy's clusters look for it.
#[test]
fn each_version_runs_by_its_command_where_envoys_clusters_look_for_it() {
    let (compose, bootstrap) = (read("envoy/compose.yaml"), read("envoy/envoy.yaml"));
    let clusters = bootstrap["static_resources"]["clusters"].as_array().unwrap();
    let mut seen = 0;
    for cluster in clusters.iter().filter(|cluster| cluster["type"] == "STRICT_DNS") {
        let endpoint = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        let address = &endpoint["address"]["socket_address"];
        let (name, port) = (address["address"].as_str().unwrap(), address["port_value"].as_u64().unwrap());
        let service = &compose["services"][name];
        let port_inside = service["ports"][0].as_str().unwrap().rsplit(':').next().unwrap();
        assert_eq!(port_inside, port.to_string(), "{name}");
        let words = command(service, &[(&format!("0.0.0.0:{port}"), "127.0.0.1:0")]);
        let mut child =
            Command::new(env!("CARGO_BIN_EXE_model-server")).args(&words).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let told = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        child.kill().unwrap();
        child.wait().unwrap();
        told.unwrap();
        assert!(
            line.starts_with(name.strip_prefix("model-").unwrap()) && line.contains("127.0.0.1:"),
            "{name}: {line}"
        );
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// Envoy takes the command line of its container, the mounted bootstrap, and the folder with the filter and the published file.
#[test]
fn envoy_takes_the_command_and_the_mounted_files_of_its_container() {
    let compose = read("envoy/compose.yaml");
    let envoy = &compose["services"]["envoy"];
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("headgate");
    std::fs::create_dir(&etc).unwrap();
    std::fs::copy(headgate_tests::wasm().unwrap(), etc.join("headgate.wasm")).unwrap();
    // Inside of the container these lie at /etc.
    let moved = |text: String| text.replace("/etc/headgate", &etc.display().to_string());
    let shipped = |path: &str| std::fs::read_to_string(headgate_tests::repository().join("envoy").join(path)).unwrap();
    std::fs::write(etc.join("ecds.yaml"), moved(shipped("ecds.yaml"))).unwrap();
    let mounts: Vec<&str> = envoy["volumes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let mounted = mounts.iter().find_map(|mount| mount.strip_suffix(":/etc/envoy/envoy.yaml:ro")).unwrap();
    let bootstrap = folder.path().join("envoy.yaml");
    std::fs::write(&bootstrap, moved(shipped(mounted))).unwrap();
    let words = command(envoy, &[("/etc/envoy/envoy.yaml", &bootstrap.display().to_string())]);
    assert_eq!(words[0], "envoy");
    // All is read, the filter's file included, and nothing listens.
    let mut validate = Command::new(headgate_tests::envoy_binary().unwrap());
    let output = validate.args(&words[1..]).args(["--mode", "validate"]).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("OK"), "{said}");
}
