//! The tables of what Mayday knows: each system, probe and step kind is a row. A row feeds config validation, `mayday kinds`, help,
//! docs and the contract test; the code that acts for it lives in `systems/`.

use std::fmt;

use serde::Serialize;

use super::comms::{Audience, Doubles, Purpose};
use crate::domain::words::words;

/// What a parameter holds; config validation refuses anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    Text,
    Integer,
    Flag,
    /// `250ms`, `5m`, `1h30m`
    Span,
    /// An absolute URL.
    Url,
    /// `host:port`
    Address,
    /// An absolute path of a file or folder on the engine's host.
    Path,
    /// One or several of them with `:` between; `~/` is the home of the engine's user.
    Paths,
    /// A list of texts.
    List,
    /// A list of `host:port`, none of them twice.
    Addresses,
    /// A program and its arguments.
    Command,
    /// A table of texts.
    Map,
    /// A table of ids of regions of the estate.
    Regions,
    /// A table of whole numbers.
    Numbers,
    /// A number, with a fraction or without.
    Decimal,
    /// A set of HTTP statuses: `204`, `"2xx"`, `["200-299", 401]`.
    Statuses,
    /// A regular expression.
    Pattern,
    /// A JSON pointer (RFC 6901).
    Pointer,
    /// A table of HTTP headers, none of which carries a secret.
    Headers,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `{ env = "NAME" }`, `{ file = "path" }` or `{ command = ["program", "argument"] }`; never the secret itself.
    Secret,
    /// The id of a region of the estate.
    Region,
}

impl fmt::Display for ParamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Text => "text",
            Self::Integer => "a whole number",
            Self::Flag => "true or false",
            Self::Span => "a length of time",
            Self::Url => "a URL",
            Self::Address => "host:port",
            Self::Path => "an absolute path",
            Self::Paths => "absolute paths with : between them",
            Self::List => "a list of texts",
            Self::Addresses => "a list of host:port",
            Self::Command => "a list of a program and its arguments",
            Self::Map => "a table of texts",
            Self::Regions => "a table of regions",
            Self::Numbers => "a table of whole numbers",
            Self::Decimal => "a number",
            Self::Statuses => "a status, \"2xx\", \"200-299\", or a list of them",
            Self::Pattern => "a regular expression",
            Self::Pointer => "a JSON pointer",
            Self::Headers => "a table of headers",
            Self::Choice(words) => return f.pad(&words.join(" | ")),
            Self::Secret => "where a secret is",
            Self::Region => "a region",
        })
    }
}

/// Whether a parameter may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    Required,
    Optional,
    /// Taken when left out, written as in the config file.
    Default(&'static str),
}

/// One parameter of a system, probe or step.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Param {
    pub name: &'static str,
    pub ty: ParamType,
    pub need: Need,
    pub help: &'static str,
}

impl Param {
    pub const fn required(name: &'static str, ty: ParamType, help: &'static str) -> Self {
        Self { name, ty, need: Need::Required, help }
    }
    pub const fn optional(name: &'static str, ty: ParamType, help: &'static str) -> Self {
        Self { name, ty, need: Need::Optional, help }
    }
    pub const fn default(name: &'static str, ty: ParamType, value: &'static str, help: &'static str) -> Self {
        Self { name, ty, need: Need::Default(value), help }
    }
}

/// Where a way out leads.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum To {
    /// The region that this parameter names; the primary when it is left out.
    Primary(&'static str),
    /// The same for the standby.
    Standby(&'static str),
    /// The system's own region.
    Own,
    /// This region, whatever the estate.
    Always(&'static str),
    /// This region, as long as the parameter is left out.
    WhenAbsent(&'static str),
    /// Each member's own, by the table of this name.
    Members(&'static str),
}

/// A way out of Mayday: the parameter that says where it goes, the region that it leads into, and how to do without.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct WayOut {
    pub param: &'static str,
    pub to: To,
    pub what: &'static str,
    /// Only asked whether all is ready; a failover does not need it.
    pub peace: bool,
    /// How to be rid of it, where that can be said without looking.
    pub rid: &'static str,
}

impl WayOut {
    pub const fn new(param: &'static str, to: To, what: &'static str) -> Self {
        Self { param, to, what, peace: false, rid: "" }
    }
    /// Something to set, without which the region is asked.
    pub const fn unset(param: &'static str, home: &'static str, what: &'static str, rid: &'static str) -> Self {
        Self { param, to: To::WhenAbsent(home), what, peace: false, rid }
    }
}

/// A kind of system: how to connect, what can be probed, which steps exist.
#[derive(Debug, Serialize)]
pub struct SystemKind {
    /// As in `kind = "rds"`.
    pub name: &'static str,
    pub title: &'static str,
    /// Needs no `[[system]]` of its own (http, tcp, dns, script): probes and steps use it by kind alone.
    pub ambient: bool,
    pub params: &'static [Param],
    /// Where its calls go.
    pub ways: &'static [WayOut],
    pub probes: &'static [ProbeKind],
    pub steps: &'static [StepKind],
    pub backups: &'static [BackupKind],
}

/// A way to look at a system. Its name is `<system kind>.<what>`.
#[derive(Debug, Serialize)]
pub struct ProbeKind {
    pub name: &'static str,
    pub title: &'static str,
    pub params: &'static [Param],
}

/// A way to look at the copies of some data. Its name is `<system kind>.<what>`.
#[derive(Debug, Serialize)]
pub struct BackupKind {
    pub name: &'static str,
    pub title: &'static str,
    /// Whether there are copies with an age; without, it is what protects the data that is looked at (versioning, replication).
    pub dated: bool,
    pub params: &'static [Param],
}

/// A kind of step. Its name is `<system kind>.<verb>`.
#[derive(Debug, Serialize)]
pub struct StepKind {
    pub name: &'static str,
    pub title: &'static str,
    pub role: StepRole,
    pub undo: Undo,
    /// What there is instead of an undo; empty unless the step is a point of no return.
    pub instead: &'static str,
    pub params: &'static [Param],
}

words! {
    /// What a step does to the recovery; the safety rules of `decide` and of plan validation hang on it.
    StepRole {
        /// Makes another copy the writer: refused while the old writer is reachable and unfenced, without quorum, or when
        /// the expected loss is above the objective or unknown.
        Promotes = "promotes",
        /// Stops the old writer from accepting writes.
        Fences = "fences",
        /// Gives the standby room to serve.
        Capacity = "capacity",
        /// Sends clients elsewhere: last, after the stores accept writes and the standby is healthy and at capacity.
        Traffic = "traffic",
        /// Changes something else.
        Changes = "changes",
        /// Changes nothing: waits until an observation holds.
        Checks = "checks",
        /// Changes nothing: reads the recovery point of a data class from the copy now serving.
        Measures = "measures",
        /// Changes nothing: a real transaction along the client's path.
        Synthetic = "synthetic",
        /// A human acts by hand; Mayday shows how, and verifies by observation.
        Guided = "guided",
        /// Writes the record of the run.
        Records = "records",
    }
}

impl StepRole {
    /// Whether `apply` changes the outside world. What does not mutate needs no gate.
    pub fn mutates(self) -> bool {
        matches!(self, Self::Promotes | Self::Fences | Self::Capacity | Self::Traffic | Self::Changes)
    }
    /// Whether `apply` is called at all: what only looks, and what a human does by hand, is verified and no more.
    pub fn acts(self) -> bool {
        self.mutates() || self == Self::Records
    }
}

words! {
    /// Whether a step can be taken back.
    Undo {
        /// Nothing was changed.
        Nothing = "nothing",
        /// `revert` restores the state that was journalled before `apply`.
        Revert = "revert",
        /// There is no way back by itself.
        PointOfNoReturn = "point-of-no-return",
    }
}

/// Every kind that this build knows: of systems, and of channels.
#[derive(Clone, Copy, Debug)]
pub struct Kinds(pub &'static [&'static SystemKind], pub &'static [&'static ChannelKind]);

impl Kinds {
    pub fn system(&self, name: &str) -> Option<&'static SystemKind> {
        self.0.iter().find(|kind| kind.name == name).copied()
    }
    /// The names of all parameters of that type, of whatever kind they are.
    pub fn names_of(&self, ty: ParamType) -> impl Iterator<Item = &'static str> {
        let of_systems = self.0.iter().flat_map(|system| {
            let probes = system.probes.iter().map(|it| it.params);
            let steps = system.steps.iter().map(|it| it.params);
            let backups = system.backups.iter().map(|it| it.params);
            std::iter::once(system.params).chain(probes).chain(steps).chain(backups).flatten()
        });
        let rows = of_systems.chain(self.1.iter().flat_map(|channel| channel.params));
        rows.filter(move |row| row.ty == ty).map(|row| row.name)
    }

    pub fn channel(&self, name: &str) -> Option<&'static ChannelKind> {
        self.1.iter().find(|kind| kind.name == name).copied()
    }
    pub fn probe(&self, name: &str) -> Option<(&'static SystemKind, &'static ProbeKind)> {
        self.0
            .iter()
            .find_map(|system| system.probes.iter().find(|probe| probe.name == name).map(|probe| (*system, probe)))
    }
    pub fn backup(&self, name: &str) -> Option<(&'static SystemKind, &'static BackupKind)> {
        let of = |system: &&'static SystemKind| {
            system.backups.iter().find(|backup| backup.name == name).map(|backup| (*system, backup))
        };
        self.0.iter().find_map(of)
    }
    pub fn step(&self, name: &str) -> Option<(&'static SystemKind, &'static StepKind)> {
        self.0.iter().find_map(|system| system.steps.iter().find(|step| step.name == name).map(|step| (*system, step)))
    }
}

/// A kind of channel: a row of the table that feeds validation, `mayday kinds`, help and the contract test.
#[derive(Debug, Serialize)]
pub struct ChannelKind {
    /// As in `kind = "slack"`.
    pub name: &'static str,
    pub title: &'static str,
    /// Which audiences it may be used for.
    pub audiences: &'static [Audience],
    /// What it can carry; a message of another purpose makes no delivery on it.
    pub carries: &'static [Purpose],
    pub doubles: Doubles,
    pub params: &'static [Param],
}
