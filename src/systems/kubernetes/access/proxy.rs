//! Which proxy leads to an API server, as Kubernetes' own clients choose it: `proxy-url` of the kubeconfig, which NO_PROXY says nothing
//! about; otherwise HTTPS_PROXY (HTTP_PROXY for a server without TLS), unless NO_PROXY names the server. This host itself is never asked
//! for through a proxy.
//!
//! <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#proxy>, and for the variables the rules of Go's
//! `golang.org/x/net/http/httpproxy`.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::Host;
use crate::domain::text::clean;

/// A proxy that is taken.
#[derive(Clone)]
pub struct Proxy {
    /// With the scheme `http`, `https` or `socks5`, and without a password.
    pub uri: Uri,
    user: Option<(String, String)>,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map(ToString::to_string).unwrap_or_default();
        f.write_str(&clean(&authority))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Proxy {
    /// Reads one as people write them: `http://proxy.example:3128`, `proxy.example:3128`, `socks5://…`, with `user:password@` or without.
    ///
    /// # Errors
    /// Why it cannot be taken; a password in it is not repeated.
    pub fn read(written: &str) -> Result<Self, String> {
        let (scheme, rest) = written.trim().split_once("://").unwrap_or(("http", written.trim()));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "socks5h" => "socks5".to_owned(),
            known @ ("http" | "https" | "socks5") => known.to_owned(),
            other => return Err(format!("proxies of kind `{}` are not known: http, https or socks5", clean(other))),
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, authority) = match rest.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, rest),
        };
        let port = match (has_port(authority), scheme.as_str()) {
            (true, _) => "",
            (false, "http") => ":80",
            (false, "https") => ":443",
            (false, _) => ":1080",
        };
        let uri = format!("{scheme}://{authority}{port}").parse();
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = user.map(|user| user.split_once(':').unwrap_or((user, ""))).map(|(a, b)| (decoded(a), decoded(b)));
        match uri {
            Ok(uri) if !authority.is_empty() => Ok(Self { uri, user }),
            _ => Err("the address of the proxy is no URL".into()),
        }
    }

    pub fn user(&self) -> Option<&(String, String)> {
        self.user.as_ref()
    }

    /// What an HTTP proxy is shown.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let (user, password) = self.user.as_ref()?;
        let mut value =
            HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Host and port, as a connection is opened to them.
    pub fn address(&self) -> (String, u16) {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        (host.to_owned(), self.uri.port_u16().unwrap_or(80))
    }
}

fn has_port(authority: &str) -> bool {
    let after_brackets = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest);
    after_brackets.contains(':')
}

/// The proxy that leads to `server`, if one does. `said` is the kubeconfig's.
///
/// # Errors
/// When the one that is named cannot be taken, with where it is named.
pub fn choose(server: &Uri, said: Option<&str>, host: &Host) -> Result<Option<Proxy>, String> {
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        return Proxy::read(said).map(Some).map_err(|why| format!("`proxy-url` of the kubeconfig: {why}"));
    }
    let names =
        if server.scheme_str() == Some("http") { ["HTTP_PROXY", "http_proxy"] } else { ["HTTPS_PROXY", "https_proxy"] };
    let Some((name, written)) = names.iter().find_map(|name| Some((name, host.variable(name)?))) else {
        return Ok(None);
    };
    let not = host.variable("NO_PROXY").or_else(|| host.variable("no_proxy")).unwrap_or_default();
    if is_direct(server, &not) {
        return Ok(None);
    }
    Proxy::read(&written).map(Some).map_err(|why| format!("the variable {name}: {why}"))
}

/// Whether no proxy is to be taken to `server`, by a list as NO_PROXY holds it: names with what is below them, `.name` for what is below
/// it alone, addresses, networks (`10.0.0.0/8`), each with a port or without, and `*`.
fn is_direct(server: &Uri, list: &str) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|it| it.is_loopback()) {
        return true;
    }
    let names = |entry: &str| {
        if entry == "*" {
            return true;
        }
        if let (Some((network, bits)), Some(address)) = (entry.split_once('/'), address) {
            return is_within(address, network, bits);
        }
        let (entry, only) = split_port(entry);
        if only.is_some_and(|only| only != port) {
            return false;
        }
        if let Some(address) = address {
            return entry.trim_matches(['[', ']']).parse() == Ok(address);
        }
        let entry = entry.strip_prefix('*').unwrap_or(entry);
        match entry.strip_prefix('.') {
            Some(above) => host.strip_suffix(above).is_some_and(|it| it.ends_with('.')),
            None => host == entry || host.strip_suffix(entry).is_some_and(|it| it.ends_with('.')),
        }
    };
    list.to_ascii_lowercase().split([',', ' ']).map(str::trim).filter(|it| !it.is_empty()).any(names)
}

/// `name:443` as its parts; an IPv6 address without brackets has no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn is_within(address: IpAddr, network: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (address, network.parse::<IpAddr>()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(network))) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(network))) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::host;
    use super::*;

    fn chosen(server: &str, said: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let host = host(std::path::Path::new("/nowhere"), variables);
        choose(&server.parse().unwrap(), said, &host).map(|it| it.map(|it| it.uri.to_string()))
    }

    #[test]
    fn a_proxy_is_chosen_as_kubectl_chooses_it() {
        const SERVER: &str = "https://k8s.example:6443";
        let both = [("HTTPS_PROXY", "http://p:3128"), ("HTTP_PROXY", "http://q:3128")];
        assert_eq!(chosen(SERVER, None, &[]), Ok(None));
        assert_eq!(chosen(SERVER, None, &both), Ok(Some("http://p:3128/".into())));
        assert_eq!(chosen("http://k8s.example", None, &both), Ok(Some("http://q:3128/".into())));
        assert_eq!(chosen("http://k8s.example", None, &both[..1]), Ok(None), "it is for servers with TLS");
        for local in ["https://127.0.0.1:6443", "https://localhost:6443", "https://[::1]:6443"] {
            assert_eq!(chosen(local, None, &both), Ok(None), "{local}");
        }
        let named = chosen("http://127.0.0.1:8001", Some("http://named:1"), &[("NO_PROXY", "*")]);
        assert_eq!(named, Ok(Some("http://named:1/".into())), "what the kubeconfig says holds for every server");
        assert_eq!(chosen(SERVER, None, &[("https_proxy", "p:3128")]), Ok(Some("http://p:3128/".into())));
        let wrong = chosen(SERVER, None, &[("HTTPS_PROXY", "ftp://ada:HUSH@p")]).unwrap_err();
        assert!(wrong.contains("HTTPS_PROXY") && !wrong.contains("HUSH"), "{wrong}");
    }

    #[test]
    fn no_proxy_names_servers_and_not_the_proxy() {
        let direct = |server: &str, list: &str| is_direct(&server.parse().unwrap(), list);
        for (server, list, is) in [
            ("https://k8s.example:6443", "other.example,k8s.example", true),
            ("https://a.k8s.example", "k8s.example", true),
            ("https://ak8s.example", "k8s.example", false),
            ("https://k8s.example", ".k8s.example", false),
            ("https://a.k8s.example", ".k8s.example", true),
            ("https://a.k8s.example", "*.k8s.example", true),
            ("https://10.1.2.3", "10.0.0.0/8", true),
            ("https://11.1.2.3", "10.0.0.0/8, 11.1.2.4", false),
            ("https://11.1.2.3:6443", "11.1.2.3:443", false),
            ("https://[fd00::1]:6443", "fd00::/8", true),
            ("https://k8s.example:6443", "k8s.example:6443", true),
            ("https://k8s.example", "p,, ,*", true),
            ("https://k8s.example", "nonsense/99", false),
        ] {
            assert_eq!(direct(server, list), is, "{server} by {list}");
        }
    }

    #[test]
    fn a_password_is_read_and_never_shown() {
        let proxy = Proxy::read("http://ada:pa%40ss@p.example").unwrap();
        assert_eq!(proxy.user(), Some(&("ada".into(), "pa@ss".into())));
        assert_eq!((proxy.to_string().as_str(), proxy.address()), ("p.example:80", ("p.example".into(), 80)));
        assert!(!format!("{proxy:?} {:?}", proxy.authorization()).contains("pa"), "{proxy:?}");
        assert_eq!(Proxy::read("socks5h://[::1]:9").unwrap().address(), ("::1".into(), 9));
        assert!(Proxy::read("http://").is_err());
    }
}
