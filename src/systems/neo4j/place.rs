//! Where a server is, by a URI as drivers take it. <https://neo4j.com/docs/operations-manual/current/configuration/connectors/>
//!
//! Every server is asked by itself, so `neo4j://` means the same as `bolt://` here: no routing table is fetched, and a query goes where it is
//! sent. `+s` asks for TLS with a certificate that can be trusted, `+ssc` for TLS with whatever certificate is shown.

use url::{Host, Url};

use crate::domain::system::Fault;
use crate::domain::text::clean;

const PORT: u16 = 7687;
const SCHEMES: [(&str, Security); 6] = [
    ("bolt", Security::Plain),
    ("bolt+s", Security::Trusted),
    ("bolt+ssc", Security::Anybody),
    ("neo4j", Security::Plain),
    ("neo4j+s", Security::Trusted),
    ("neo4j+ssc", Security::Anybody),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Plain,
    Trusted,
    /// Encrypted, and nobody knows by whom.
    Anybody,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub host: String,
    pub port: u16,
    pub security: Security,
}

impl Place {
    /// # Errors
    /// When it leads to no single server, and what to write instead.
    pub fn of(system: &str, uri: &str) -> Result<Self, Fault> {
        let wrong = |what: &str, next: &str| {
            Err(Fault::permanent(system, format!("`{}` {what}", shown(uri))).next(next.to_owned()))
        };
        let Ok(url) = Url::parse(uri) else {
            return wrong("is no URI of a server", "write it like bolt://10.0.0.5:7687 or neo4j+s://graph.example.com");
        };
        let Some((_, security)) = SCHEMES.iter().find(|(scheme, _)| *scheme == url.scheme()) else {
            let next = match url.scheme() {
                "http" | "https" => {
                    "that is the browser's: write bolt:// and the port of Bolt, which is 7687 unless it was changed"
                }
                _ => "write it with bolt:// or neo4j://, and +s or +ssc for TLS",
            };
            return wrong("has no scheme that Neo4j's drivers know", next);
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("holds a user or a password", "set `username` and `password`; take them out of the URI");
        }
        if url.query().is_some() || url.fragment().is_some() || !matches!(url.path(), "" | "/") {
            return wrong(
                "holds more than a server",
                "write scheme, host and port alone; routing policies and databases do not belong there",
            );
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return wrong("names no server", "write it like bolt://10.0.0.5:7687"),
        };
        // Of a scheme that the parser does not know, it takes an IPv6 address for a name in brackets.
        let host = host.trim_matches(['[', ']']).to_owned();
        Ok(Self { host, port: url.port().unwrap_or(PORT), security: *security })
    }

    /// `host:port`, as Neo4j writes the address of a server.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A URI without the password that somebody may have written into it.
fn shown(uri: &str) -> String {
    let hidden = uri.split_once("://").and_then(|(scheme, rest)| {
        let (_, place) = rest.rsplit_once('@')?;
        Some(format!("{scheme}://…@{place}"))
    });
    clean(hidden.as_deref().unwrap_or(uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_of_the_drivers_leads_somewhere() {
        let rows = [
            ("bolt://10.0.0.5:7687", "10.0.0.5:7687", Security::Plain),
            ("neo4j://graph.example.com", "graph.example.com:7687", Security::Plain),
            ("bolt+s://graph:1/", "graph:1", Security::Trusted),
            ("neo4j+s://abc.databases.neo4j.io", "abc.databases.neo4j.io:7687", Security::Trusted),
            ("bolt+ssc://[2001:db8::5]:7687", "[2001:db8::5]:7687", Security::Anybody),
            ("neo4j+ssc://127.0.0.1:17687", "127.0.0.1:17687", Security::Anybody),
        ];
        for (uri, address, security) in rows {
            let place = Place::of("graph", uri).unwrap();
            assert_eq!((place.address().as_str(), place.security), (address, security), "{uri}");
        }
    }

    #[test]
    fn what_leads_to_no_single_server_is_refused_with_what_to_write() {
        let rows = [
            ("http://graph:7474", "the port of Bolt"),
            ("10.0.0.5", "write it like"),
            ("postgres://graph", "bolt:// or neo4j://"),
            ("neo4j://graph/?policy=eu", "routing policies"),
            ("bolt://neo4j:hunter2@graph", "take them out"),
        ];
        for (uri, next) in rows {
            let fault = Place::of("graph", uri).unwrap_err();
            assert!(fault.next.contains(next) && !fault.to_string().contains("hunter2"), "{uri}: {fault}");
        }
    }
}
