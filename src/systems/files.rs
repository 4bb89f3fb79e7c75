//! Dated copies in a folder of this host: snapshots of etcd, dumps.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::dated::dated;
use crate::domain::backup::{BackupCopy, BackupLook, BackupSpec, CopyState, copy};
use crate::domain::estate::{ProbeSpec, SystemSpec};
use crate::domain::health::Reading;
use crate::domain::kinds::{BackupKind, Param, ParamType, SystemKind};
use crate::domain::plan::StepSpec;
use crate::domain::recovery::Survey;
use crate::domain::system::{Factory, Fault, Step, Surroundings, System};
use crate::domain::time::At;

pub static KIND: SystemKind = SystemKind {
    name: "files",
    title: "Copies in a folder of this host",
    ambient: true,
    ways: &[],
    params: &[],
    probes: &[],
    steps: &[],
    backups: &[BackupKind {
        name: "files.dated",
        title: "Dated copies in a folder",
        dated: true,
        params: &[
            Param::required(
                "folder",
                ParamType::Path,
                "where the copies are, as an absolute path; `region` says where that is",
            ),
            Param::default("prefix", ParamType::Text, "", "how their names begin"),
            Param::default("suffix", ParamType::Text, "", "how their names end"),
            Param::default(
                "dated_by",
                ParamType::Choice(&["name", "modified"]),
                "name",
                "where the moment of a copy is read: in its name (UTC), or when the file was written",
            ),
        ],
    }],
};

/// Makes the one connection there is: none.
pub struct FilesFactory;

impl Factory for FilesFactory {
    fn kind(&self) -> &'static SystemKind {
        &KIND
    }
    fn connect(&self, _: &SystemSpec, _: &Surroundings) -> Result<Arc<dyn System>, Fault> {
        Ok(Arc::new(Files))
    }
}

struct Files;

#[async_trait]
impl System for Files {
    async fn probe(&self, spec: &ProbeSpec) -> Reading {
        Reading::unknown(format!("there is no probe `{}`", spec.kind))
    }

    async fn survey(&self) -> Result<Survey, Fault> {
        Err(Fault::permanent(KIND.name, "a folder is no datastore"))
    }

    async fn backup(&self, spec: &BackupSpec) -> Result<BackupLook, Fault> {
        let spec = spec.clone();
        let listed = tokio::task::spawn_blocking(move || list(&spec)).await;
        listed.unwrap_or_else(|_| Err(Fault::transient(KIND.name, "the folder could not be read")))
    }

    fn step(&self, spec: &StepSpec) -> Result<Arc<dyn Step>, Fault> {
        Err(Fault::permanent(KIND.name, format!("there is no step `{}`", spec.kind)).next("run `mayday kinds`"))
    }
}

fn list(spec: &BackupSpec) -> Result<BackupLook, Fault> {
    let folder = spec.params.text("folder")?;
    let [prefix, suffix] = ["prefix", "suffix"].map(|name| spec.params.opt_text(name).unwrap_or_default());
    let by_name = spec.params.opt_text("dated_by") != Some("modified");
    let unreadable = |error: std::io::Error| {
        Fault::transient(KIND.name, format!("{folder} cannot be read: {error}"))
            .means("whether there are copies is not known")
            .next("fix the folder or its permissions")
    };
    let entries = fs::read_dir(Path::new(folder)).map_err(unreadable)?;
    let mut copies: Vec<BackupCopy> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(meta) = entry.metadata() else { continue };
        if !meta.is_file() || !name.starts_with(prefix) || !name.ends_with(suffix) {
            continue;
        }
        let written = || meta.modified().ok().and_then(|at| At::try_from(at).ok());
        let Some(at) = (if by_name { dated(&name) } else { written() }) else { continue };
        // What was begun and never finished restores nothing.
        let state = if meta.len() == 0 { CopyState::Failed } else { CopyState::Good };
        copies.push(copy(at, state, &name, Some(meta.len())));
    }
    Ok(BackupLook::of(copies))
}
