//! Health checks: what they are set to, and what the checkers around the world last saw.

use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;
use roxmltree::Node;

use super::super::world::{FRONT_DOORS, Tick};
use super::super::xml::{child, leaf, node, optional, text};

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
    pub ip: Ipv4Addr,
    pub port: u16,
    pub kind: String,
    pub path: Option<String>,
    pub interval: u64,
    pub threshold: u64,
    /// Counts as the opposite of what is seen.
    pub inverted: bool,
    /// Is not looked at, and counts as healthy (unhealthy, if inverted).
    pub disabled: bool,
}

impl Settings {
    /// How the estate's own health checks look at a front door.
    pub fn http(ip: Ipv4Addr, path: &str) -> Self {
        let path = Some(path.to_owned());
        Self { ip, port: 80, kind: "HTTP".into(), path, interval: 10, threshold: 3, inverted: false, disabled: false }
    }

    /// Reads a `HealthCheckConfig` element.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_xml(from: Node<'_, '_>) -> Result<Self, String> {
        let kind = text(from, "Type").unwrap_or_default();
        if !["HTTP", "HTTPS", "TCP"].contains(&kind) {
            return Err(format!("Invalid health check type '{kind}': this lab looks by HTTP, HTTPS or TCP"));
        }
        let ip = text(from, "IPAddress").and_then(|ip| ip.parse().ok());
        let port = if kind == "HTTPS" { 443 } else { 80 };
        Ok(Self {
            ip: ip.ok_or("Invalid parameter: IPAddress has to be an IPv4 address")?,
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
        node(
            "HealthCheckConfig",
            [
                leaf("IPAddress", self.ip),
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
        let sees = [true; CHECKERS];
        Self { id: id.into(), reference: reference.into(), version: 1, settings, sees, truth: (true, now) }
    }

    /// The region of the front door that it looks at.
    fn region(&self) -> Option<&'static str> {
        FRONT_DOORS.iter().find(|(_, ip)| *ip == self.settings.ip).map(|(region, _)| *region)
    }

    /// Every checker comes to see what is the case once it looked `threshold` times in a row, each at its own moment.
    pub fn tick(&mut self, tick: &Tick<'_>, serving: &[&str]) {
        if self.settings.disabled {
            return;
        }
        let serves = self.region().is_some_and(|region| serving.contains(&region));
        if serves != self.truth.0 {
            self.truth = (serves, tick.now);
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

    /// What Route 53 goes by when it answers.
    pub fn healthy(&self) -> bool {
        let agree = self.sees.iter().filter(|sees| **sees).count() as f64;
        let seen = agree / CHECKERS as f64 > AGREEMENT;
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
            ip: number(from, "IPAddress", old.ip)?,
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
