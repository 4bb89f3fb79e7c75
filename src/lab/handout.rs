//! What a visitor of the lab needs: endpoints as JSON, a kubeconfig, and the environment that points standard clients at it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Endpoints;
use super::world::{ALL, PRIMARY};

/// The lab's credentials. They open nothing but the lab.
pub const AWS_KEY: &str = "LABKEY";
pub const AWS_SECRET: &str = "labsecret";
pub const KUBERNETES_TOKEN: &str = "labtoken";
pub const NEO4J_USER: &str = "neo4j";
pub const NEO4J_PASSWORD: &str = "labpassword";

/// The environment that points standard clients at one region of the lab, in the order in which it is printed.
pub fn environment(endpoints: &Endpoints, region: &str, dir: &Path) -> Vec<(&'static str, String)> {
    let of = |name: &str| endpoints.get(name).cloned().unwrap_or_default();
    let here = |name: &str| of(&format!("{name}.{region}"));
    let (sentinel_host, sentinel_port) = split(&of("redis.sentinel-1"));
    vec![
        ("AWS_ACCESS_KEY_ID", AWS_KEY.into()),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET.into()),
        ("AWS_DEFAULT_REGION", region.into()),
        ("AWS_REGION", region.into()),
        ("AWS_ENDPOINT_URL_ROUTE_53", of("route53")),
        ("AWS_ENDPOINT_URL_RDS", here("rds")),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", here("cloudwatch")),
        ("AWS_ENDPOINT_URL_STS", here("sts")),
        ("AWS_ENDPOINT_URL_S3", here("s3")),
        ("AWS_ENDPOINT_URL_IAM", of("iam")),
        ("KUBECONFIG", dir.join("kubeconfig").display().to_string()),
        ("LAB_SENTINEL_HOST", sentinel_host),
        ("LAB_SENTINEL_PORT", sentinel_port),
        ("NEO4J_URI", of("neo4j.neo4j-1")),
        ("NEO4J_USERNAME", NEO4J_USER.into()),
        ("NEO4J_PASSWORD", NEO4J_PASSWORD.into()),
    ]
}

fn split(address: &str) -> (String, String) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    (host.into(), port.into())
}

/// The regions of the lab that has these endpoints.
fn regions(endpoints: &Endpoints) -> impl Iterator<Item = &'static str> {
    ALL.into_iter().filter(|region| endpoints.contains_key(&format!("kubernetes.{region}")))
}

/// A kubeconfig with one context a region, named like it. (JSON is YAML.)
pub fn kubeconfig(endpoints: &Endpoints) -> Value {
    let server = |region: &str| endpoints.get(&format!("kubernetes.{region}")).cloned().unwrap_or_default();
    let cluster = |region| json!({ "name": region, "cluster": { "server": server(region) } });
    let clusters: Vec<Value> = regions(endpoints).map(cluster).collect();
    let context = |region| json!({ "cluster": region, "user": "lab", "namespace": "gennet" });
    let contexts: Vec<Value> =
        regions(endpoints).map(|region| json!({ "name": region, "context": context(region) })).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "contexts": contexts,
        "users": [{ "name": "lab", "user": { "token": KUBERNETES_TOKEN } }],
        "current-context": PRIMARY,
    })
}

/// Everything as one JSON value.
pub fn json(endpoints: &Endpoints, dir: &Path) -> Value {
    let of = |region: &'static str| (region.to_owned(), environment(endpoints, region, dir));
    let environments = regions(endpoints).map(of).map(|(region, variables)| {
        let variables: serde_json::Map<String, Value> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        (region, Value::from(variables))
    });
    json!({
        "endpoints": endpoints,
        "kubeconfig": dir.join("kubeconfig"),
        "config": dir.join("config.toml"),
        "environment": Value::Object(environments.collect()),
    })
}

/// Writes `lab.json`, `kubeconfig`, and `env.REGION` (to be sourced by a shell) into `dir`; says what was written.
///
/// # Errors
/// When the directory cannot be written to.
pub fn write(endpoints: &Endpoints, dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir)?;
    let mut files = vec![
        (dir.join("lab.json"), format!("{:#}\n", json(endpoints, dir))),
        (dir.join("kubeconfig"), format!("{:#}\n", kubeconfig(endpoints))),
    ];
    for region in regions(endpoints) {
        let lines =
            environment(endpoints, region, dir).into_iter().map(|(name, value)| format!("export {name}='{value}'\n"));
        files.push((dir.join(format!("env.{region}")), lines.collect()));
    }
    for (path, text) in &files {
        fs::write(path, text)?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}
