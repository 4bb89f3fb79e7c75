//! Health checks: what they are set to, and what the checkers around the world last saw. They look at a front door, at an object of a
//! bucket, or at other health checks.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use roxmltree::Node;

use super::super::world::{FRONT_DOORS, Tick};
use super::super::xml::{child, children, leaf, node, optional, text};

/// A health check that is as a switch of an ARC cluster stands.
const RECOVERY_CONTROL: &str = "RECOVERY_CONTROL";
/// A health check that counts others.
const CALCULATED: &str = "CALCULATED";

/// From where Route 53 looks; two checkers in each.
const CHECKER_REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
];
const CHECKERS: usize = 2 * CHECKER_REGIONS.len();

/// An endpoint is healthy when more than this share of the checkers says so.
const AGREEMENT: f64 = 0.18;

/// How a health check is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub ip: Option<Ipv4Addr>,
    /// Of a check that looks by name: `bucket.s3.us-west-2.amazonaws.com`.
    pub host: Option<String>,
    pub port: u16,
    pub kind: String,
    pub path: Option<String>,
    pub interval: u64,
    pub threshold: u64,
    /// Counts as the opposite of what is seen.
    pub inverted: bool,
    /// Is not looked at, and counts as healthy (unhealthy, if inverted).
    pub disabled: bool,
    /// What a calculated check counts, and how many of them have to be healthy.
    pub children: Vec<String>,
    pub enough: usize,
    /// The ARN of the routing control that it follows.
    pub control: Option<String>,
}

/// What checkers can see of the world.
pub struct InSight<'a> {
    /// The regions whose front door answers a health check.
    pub serving: &'a [&'a str],
    /// Whether an object answers 200: by bucket and key.
    pub object: &'a dyn Fn(&str, &str) -> bool,
    /// Whether a routing control is on, by its ARN.
    pub switch: &'a dyn Fn(&str) -> bool,
}

impl Settings {
    /// How the estate's own health checks look at a front door.
    pub fn http(ip: Ipv4Addr, path: &str) -> Self {
        Self { ip: Some(ip), path: Some(path.to_owned()), ..Self::plain("HTTP") }
    }

    /// One that turns red as soon as an object is there.
    pub fn no_object(bucket: &str, region: &str, key: &str) -> Self {
        let host = Some(format!("{bucket}.s3.{region}.amazonaws.com"));
        Self { host, port: 443, path: Some(format!("/{key}")), threshold: 1, inverted: true, ..Self::plain("HTTPS") }
    }

    /// One that is as well as the least of others.
    pub fn all_of(children: &[&str]) -> Self {
        let children: Vec<String> = children.iter().map(|it| (*it).to_owned()).collect();
        Self { enough: children.len(), children, ..Self::plain(CALCULATED) }
    }

    /// One that is as a switch stands.
    pub fn switched(arn: &str) -> Self {
        Self { control: Some(arn.to_owned()), ..Self::plain(RECOVERY_CONTROL) }
    }

    fn plain(kind: &str) -> Self {
        Self {
            control: None,
            ip: None,
            host: None,
            port: 80,
            kind: kind.into(),
            path: None,
            interval: 10,
            threshold: 3,
            inverted: false,
            disabled: false,
            children: Vec::new(),
            enough: 0,
        }
    }

    pub fn is_calculated(&self) -> bool {
        self.kind == CALCULATED
    }

    /// Reads a `HealthCheckConfig` element.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_xml(from: Node<'_, '_>) -> Result<Self, String> {
        let kind = text(from, "Type").unwrap_or_default();
        if !["HTTP", "HTTPS", "TCP", CALCULATED, RECOVERY_CONTROL].contains(&kind) {
            return Err(format!("Invalid health check type '{kind}': this lab looks by HTTP, HTTPS or TCP"));
        }
        let ip = text(from, "IPAddress").and_then(|ip| ip.parse().ok());
        let host = text(from, "FullyQualifiedDomainName").map(str::to_owned);
        let port = if kind == "HTTPS" { 443 } else { 80 };
        let listed = child(from, "ChildHealthChecks");
        let listed = listed.iter().flat_map(|listed| children(*listed, "ChildHealthCheck"));
        let watched: Vec<String> = listed.filter_map(|it| it.text().map(str::to_owned)).collect();
        if kind == CALCULATED && watched.is_empty() {
            return Err("Invalid parameter: a calculated health check needs ChildHealthChecks".into());
        }
        let control = text(from, "RoutingControlArn").map(str::to_owned);
        if kind == RECOVERY_CONTROL && control.is_none() {
            return Err("Invalid parameter: a recovery control needs its RoutingControlArn".into());
        }
        if ![CALCULATED, RECOVERY_CONTROL].contains(&kind) && ip.is_none() && host.is_none() {
            return Err("Invalid parameter: IPAddress has to be an IPv4 address".into());
        }
        Ok(Self {
            ip,
            host,
            control,
            children: watched,
            enough: number(from, "HealthThreshold", 0)?,
            port: number(from, "Port", port)?,
            kind: kind.into(),
            path: text(from, "ResourcePath").map(str::to_owned),
            interval: number(from, "RequestInterval", 30)?,
            threshold: number(from, "FailureThreshold", 3)?,
            inverted: flag(from, "Inverted", false)?,
            disabled: flag(from, "Disabled", false)?,
        })
    }

    fn to_xml(&self) -> String {
        if let Some(control) = &self.control {
            let switches = [leaf("Inverted", self.inverted), leaf("Disabled", self.disabled)];
            let own = [leaf("Type", &self.kind), leaf("RoutingControlArn", control)];
            return node("HealthCheckConfig", own.into_iter().chain(switches));
        }
        if self.is_calculated() {
            return node(
                "HealthCheckConfig",
                [
                    leaf("Type", &self.kind),
                    leaf("Inverted", self.inverted),
                    leaf("Disabled", self.disabled),
                    leaf("HealthThreshold", self.enough),
                    node("ChildHealthChecks", self.children.iter().map(|it| leaf("ChildHealthCheck", it))),
                ],
            );
        }
        node(
            "HealthCheckConfig",
            [
                optional("IPAddress", self.ip),
                optional("FullyQualifiedDomainName", self.host.as_ref()),
                leaf("Port", self.port),
                leaf("Type", &self.kind),
                optional("ResourcePath", self.path.as_ref()),
                leaf("RequestInterval", self.interval),
                leaf("FailureThreshold", self.threshold),
                leaf("MeasureLatency", false),
                leaf("Inverted", self.inverted),
                leaf("Disabled", self.disabled),
                leaf("EnableSNI", self.kind == "HTTPS"),
            ],
        )
    }
}

fn number<T: std::str::FromStr>(from: Node<'_, '_>, name: &str, absent: T) -> Result<T, String> {
    text(from, name).map_or(Ok(absent), |it| it.parse().map_err(|_| format!("Invalid {name} '{it}'")))
}

fn flag(from: Node<'_, '_>, name: &str, absent: bool) -> Result<bool, String> {
    number(from, name, absent)
}

/// A health check.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    pub id: String,
    pub reference: String,
    pub version: u64,
    pub settings: Settings,
    /// What each checker says.
    sees: [bool; CHECKERS],
    /// What has been the case at the endpoint, and since when.
    truth: (bool, Timestamp),
}

impl HealthCheck {
    pub fn new(id: &str, reference: &str, settings: Settings, now: Timestamp) -> Self {
        // An object that nobody has written yet is not there; a switch of the primary is on.
        let there = settings.host.is_none();
        let sees = [there; CHECKERS];
        Self { id: id.into(), reference: reference.into(), version: 1, settings, sees, truth: (there, now) }
    }

    /// Whether what it looks at answers now.
    fn answers(&self, sight: &InSight<'_>) -> bool {
        if let Some(control) = &self.settings.control {
            return (sight.switch)(control);
        }
        let Settings { ip, host, path, .. } = &self.settings;
        let door = ip.and_then(|ip| FRONT_DOORS.iter().find(|(_, door)| *door == ip));
        match (door, host) {
            (Some((region, _)), _) => sight.serving.contains(region),
            (None, Some(host)) => {
                let bucket = host.split_once(".s3.").map_or("", |(bucket, _)| bucket);
                (sight.object)(bucket, path.as_deref().unwrap_or_default().trim_start_matches('/'))
            }
            (None, None) => false,
        }
    }

    /// Every checker comes to see what is the case once it looked `threshold` times in a row, each at its own moment.
    pub fn tick(&mut self, tick: &Tick<'_>, sight: &InSight<'_>) {
        if self.settings.disabled || self.settings.is_calculated() {
            return;
        }
        let serves = self.answers(sight);
        if serves != self.truth.0 {
            self.truth = (serves, tick.now);
        }
        if self.settings.control.is_some() {
            // Nobody has to look: the switch tells every name server.
            self.sees = [serves; CHECKERS];
            return;
        }
        let waited = tick.now.duration_since(self.truth.1).unsigned_abs();
        let looks = self.settings.threshold.saturating_sub(1) as f64;
        for (nth, sees) in self.sees.iter_mut().enumerate() {
            let after = self.settings.interval as f64 * (looks + nth as f64 / CHECKERS as f64);
            if waited >= tick.pace.scale(Duration::from_secs_f64(after)) {
                *sees = serves;
            }
        }
    }

    /// What Route 53 goes by when it answers. A calculated check counts those of `all` that it names.
    pub fn healthy(&self, all: &BTreeMap<String, HealthCheck>) -> bool {
        let seen = match self.settings.is_calculated() {
            true => {
                // Calculated checks of calculated ones are not counted, so this ends.
                let plain = self.settings.children.iter().filter_map(|id| all.get(id));
                let plain = plain.filter(|check| !check.settings.is_calculated());
                plain.filter(|check| check.healthy(all)).count() >= self.settings.enough
            }
            false => self.sees.iter().filter(|sees| **sees).count() as f64 / CHECKERS as f64 > AGREEMENT,
        };
        (self.settings.disabled || seen) != self.settings.inverted
    }

    /// Takes new settings, if the caller knows the present version.
    ///
    /// # Errors
    /// When the version that the caller knows is not the present one.
    pub fn update(&mut self, from: Node<'_, '_>) -> Result<(), UpdateRefusal> {
        if let Some(version) = text(from, "HealthCheckVersion")
            && version != self.version.to_string()
        {
            return Err(UpdateRefusal::Version(self.version));
        }
        let old = self.settings.clone();
        let settings = Settings {
            ip: text(from, "IPAddress").and_then(|ip| ip.parse().ok()).or(old.ip),
            host: text(from, "FullyQualifiedDomainName").map(str::to_owned).or(old.host),
            control: old.control,
            children: old.children,
            enough: number(from, "HealthThreshold", old.enough)?,
            port: number(from, "Port", old.port)?,
            kind: old.kind,
            path: text(from, "ResourcePath").map(str::to_owned).or(old.path),
            interval: old.interval,
            threshold: number(from, "FailureThreshold", old.threshold)?,
            inverted: flag(from, "Inverted", old.inverted)?,
            disabled: flag(from, "Disabled", old.disabled)?,
        };
        self.settings = settings;
        self.version += 1;
        Ok(())
    }

    pub fn to_xml(&self) -> String {
        node(
            "HealthCheck",
            [
                leaf("Id", &self.id),
                leaf("CallerReference", &self.reference),
                self.settings.to_xml(),
                leaf("HealthCheckVersion", self.version),
            ],
        )
    }

    /// What every checker last saw.
    pub fn observations(&self, now: Timestamp) -> String {
        let each = self.sees.iter().enumerate().map(|(nth, sees)| {
            let status = match sees {
                true => "Success: HTTP Status Code 200, OK",
                false => "Failure: The health checker got no answer of status 2xx or 3xx within the timeout limit.",
            };
            node(
                "HealthCheckObservation",
                [
                    leaf("Region", CHECKER_REGIONS[nth / 2]),
                    leaf("IPAddress", format!("15.177.{}.{}", nth / 2, 10 + nth)),
                    node("StatusReport", [leaf("Status", status), leaf("CheckedTime", now)]),
                ],
            )
        });
        node("HealthCheckObservations", each)
    }
}

/// Why an update was not taken.
pub enum UpdateRefusal {
    /// Somebody else changed it; this is the present version.
    Version(u64),
    Invalid(String),
}

impl From<String> for UpdateRefusal {
    fn from(what: String) -> Self {
        Self::Invalid(what)
    }
}

/// The settings of a `CreateHealthCheckRequest`, and who says so.
pub fn creation(root: Node<'_, '_>) -> Result<(String, Settings), String> {
    let reference = text(root, "CallerReference").ok_or("a CallerReference is needed")?;
    let config = child(root, "HealthCheckConfig").ok_or("a HealthCheckConfig is needed")?;
    Ok((reference.to_owned(), Settings::from_xml(config)?))
}
