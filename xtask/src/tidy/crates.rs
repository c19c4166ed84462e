//! The arrows between the crates, and each library by itself.

use std::path::Path;

use serde_json::Value;

use super::Finding;
use crate::repo::Repo;
use crate::run;

/// Who may depend on whom. A crate that is not named here is news to the architecture.
const ARROWS: &[(&str, &[&str])] = &[
    ("keybound-dpop", &[]),
    ("keybound-oauth", &["keybound-dpop"]),
    ("keybound-fetch", &["keybound-oauth", "keybound-dpop"]),
    ("keybound-resource", &["keybound-oauth", "keybound-fetch", "keybound-dpop"]),
    ("keybound-client", &["keybound-oauth", "keybound-fetch", "keybound-dpop"]),
    ("keybound-gateway", &["keybound-resource", "keybound-oauth", "keybound-fetch", "keybound-dpop"]),
    (
        "keybound-provider",
        &["keybound-resource", "keybound-client", "keybound-oauth", "keybound-fetch", "keybound-dpop"],
    ),
    ("keybound-serve", &[]),
    ("keybound", ALL_LIBRARIES),
    ("keybound-e2e", ALL_LIBRARIES),
    ("keybound-bench", ALL_LIBRARIES),
    ("xtask", &[]),
];

const ALL_LIBRARIES: &[&str] = &[
    "keybound-dpop",
    "keybound-oauth",
    "keybound-fetch",
    "keybound-resource",
    "keybound-client",
    "keybound-gateway",
    "keybound-provider",
    "keybound-serve",
];

/// A workspace member, as far as the rules look at it.
#[derive(Debug, PartialEq, Eq)]
struct Package {
    name: String,
    is_library: bool,
    has_features: bool,
    /// The program that `cargo run` means.
    default_run: Option<String>,
    /// Names of what it depends on when it is built or when its build script runs; not for its tests.
    needs: Vec<String>,
}

/// Crates depend only downwards, and only `keybound-dpop` depends on the crypto library, besides the benchmarks, which
/// measure it by itself.
pub(super) fn arrows(repo: &Repo) -> Vec<Finding> {
    match packages(&repo.root) {
        Ok(packages) => packages.iter().flat_map(forbidden).collect(),
        Err(error) => vec![Finding::about("cargo metadata", error)],
    }
}

fn forbidden(package: &Package) -> Vec<Finding> {
    let place = format!("{}/Cargo.toml", package.name);
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        return vec![Finding::about(&place, "an unknown crate: give it a line in xtask/src/tidy/crates.rs")];
    };
    let is_ours = |name: &str| ARROWS.iter().any(|(ours, _)| *ours == name);
    let mut findings = Vec::new();
    if package.default_run.is_some() && package.name != "keybound" {
        findings.push(Finding::about(
            &place,
            "only `keybound` has a `default-run`: with two, `cargo run` knows none",
        ));
    }
    for need in &package.needs {
        if is_ours(need) && !allowed.contains(&need.as_str()) {
            let advice = format!("`{need}` is not below it: move what is needed down, or the caller up");
            findings.push(Finding::about(&place, advice));
        }
        if need == "aws-lc-rs" && !["keybound-dpop", "keybound-bench"].contains(&package.name.as_str()) {
            let advice = "cryptography is called through `keybound_dpop::jose`, never directly";
            findings.push(Finding::about(&place, advice));
        }
    }
    findings
}

/// Each library must build with no features and with all, without what its neighbours would switch on.
pub(super) fn alone(repo: &Repo) -> Vec<Finding> {
    let packages = match packages(&repo.root) {
        Ok(packages) => packages,
        Err(error) => return vec![Finding::about("cargo metadata", error)],
    };
    let mut findings = Vec::new();
    for package in packages.iter().filter(|package| package.is_library) {
        let choices: &[&str] = if package.has_features {
            &["--no-default-features", "--all-features"]
        } else {
            &["--all-features"]
        };
        for choice in choices {
            println!("  {} {choice}", package.name);
            let arguments = ["check", "--quiet", "--locked", "--lib", "-p", &package.name, choice];
            if let Err(error) = run::succeed(&mut run::cargo(&repo.root, &arguments)) {
                findings.push(Finding::about(&error, "switch on in its Cargo.toml what it uses"));
            }
        }
    }
    findings
}

fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let arguments = ["metadata", "--no-deps", "--locked", "--format-version", "1"];
    parse(&run::output(&mut run::cargo(root, &arguments))?)
}

fn parse(metadata: &str) -> Result<Vec<Package>, String> {
    let metadata: Value = serde_json::from_str(metadata).map_err(|error| error.to_string())?;
    let packages =
        metadata.get("packages").and_then(Value::as_array).ok_or("cargo metadata names no packages")?;
    packages
        .iter()
        .map(|package| read(package).ok_or_else(|| "cargo metadata changed its shape".into()))
        .collect()
}

fn read(package: &Value) -> Option<Package> {
    let targets = package.get("targets")?.as_array()?;
    let kinds = targets.iter().filter_map(|target| target.get("kind")?.as_array()).flatten();
    let dependencies = package.get("dependencies")?.as_array()?;
    let for_tests = |dependency: &Value| dependency.get("kind").and_then(Value::as_str) == Some("dev");
    Some(Package {
        name: package.get("name")?.as_str()?.into(),
        is_library: kinds.into_iter().any(|kind| kind == "lib"),
        has_features: !package.get("features")?.as_object()?.is_empty(),
        default_run: package.get("default_run").and_then(Value::as_str).map(str::to_owned),
        needs: dependencies
            .iter()
            .filter(|dependency| !for_tests(dependency))
            .filter_map(|dependency| Some(dependency.get("name")?.as_str()?.to_owned()))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, needs: &[&str]) -> Package {
        let needs = needs.iter().map(|need| (*need).into()).collect();
        Package { name: name.into(), is_library: true, has_features: false, default_run: None, needs }
    }

    #[test]
    fn metadata_is_read_and_test_dependencies_are_left_out() {
        let metadata = r#"{"packages":[{"name":"keybound-oauth","features":{"extra":[]},
            "targets":[{"kind":["lib"]},{"kind":["test"]}],
            "dependencies":[{"name":"keybound-dpop","kind":null},{"name":"proptest","kind":"dev"},
                            {"name":"cc","kind":"build"}]}]}"#;
        let mut expected = package("keybound-oauth", &["keybound-dpop", "cc"]);
        expected.has_features = true;
        assert_eq!(parse(metadata), Ok(vec![expected]));
    }

    #[test]
    fn arrows_may_skip_a_level_downwards() {
        assert_eq!(forbidden(&package("keybound-gateway", &["keybound-dpop", "hyper"])), []);
        assert_eq!(forbidden(&package("keybound", &["keybound-serve", "keybound-provider"])), []);
    }

    #[test]
    fn an_arrow_upwards_or_sideways_is_found() {
        assert_eq!(forbidden(&package("keybound-dpop", &["keybound-oauth"])).len(), 1);
        assert_eq!(forbidden(&package("keybound-client", &["keybound-resource"])).len(), 1);
        assert_eq!(forbidden(&package("keybound-serve", &["keybound-dpop"])).len(), 1);
        assert_eq!(forbidden(&package("xtask", &["keybound-dpop"])).len(), 1);
    }

    #[test]
    fn a_second_default_run_is_found() {
        let mut bench = package("keybound-bench", &[]);
        bench.default_run = Some("keybound-bench".into());
        assert_eq!(forbidden(&bench).len(), 1);
    }

    #[test]
    fn an_unknown_crate_is_found() {
        assert_eq!(forbidden(&package("keybound-extra", &[])).len(), 1);
    }

    #[test]
    fn only_the_core_depends_on_the_crypto_library() {
        assert_eq!(forbidden(&package("keybound-dpop", &["aws-lc-rs"])), []);
        assert_eq!(forbidden(&package("keybound-provider", &["aws-lc-rs"])).len(), 1);
    }
}
