//! The proxy of the environment: companies have no other way out. `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or
//! not, as curl and the `aws` command read them. This host itself and the places where AWS hands out credentials to it are never asked
//! for by a proxy (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-proxy.html>).

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::domain::text::clean;

/// Never through a proxy: loopback, and the metadata of instances, tasks and pods.
const DIRECT: &str =
    "localhost,127.0.0.0/8,::1,169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23";

/// A proxy, and what is reached without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// It may hold a password: only [`name`](Self::name) is told.
    url: String,
    pub direct: String,
}

impl Proxy {
    /// The proxy for URLs of `scheme` (`https`), by what the environment says.
    pub fn of(scheme: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let read = |name: &str| {
            let either = variable(name).or_else(|| variable(&name.to_ascii_lowercase()));
            either.filter(|text| !text.trim().is_empty()).map(|text| text.trim().to_owned())
        };
        let own = if scheme == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let url = read(own).or_else(|| read("ALL_PROXY"))?;
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        let direct = read("NO_PROXY").map_or_else(|| DIRECT.to_owned(), |given| format!("{given},{DIRECT}"));
        Some(Self { url, direct })
    }

    /// The proxy of this process's environment.
    pub fn here(scheme: &str) -> Option<Self> {
        Self::of(scheme, |name| std::env::var(name).ok())
    }

    /// Whether a URL is asked for by it.
    pub fn is_for(&self, url: &str) -> bool {
        let Ok(uri) = url.parse() else { return false };
        let matcher = hyper_util::client::proxy::matcher::Matcher::builder().all(self.url.as_str());
        matcher.no(self.direct.as_str()).build().intercept(&uri).is_some()
    }

    /// `proxy.corp.example:3128`, without a password.
    pub fn name(&self) -> String {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        clean(host.split('/').next().unwrap_or(host))
    }

    /// As the client that IAM is asked by takes it.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn for_reqwest(&self) -> Result<reqwest::Proxy, String> {
        let wrong = |_| format!("the proxy {} is no URL", self.name());
        Ok(reqwest::Proxy::all(&self.url).map_err(wrong)?.no_proxy(reqwest::NoProxy::from_string(&self.direct)))
    }

    fn for_aws(&self, scheme: &str) -> Option<ProxyConfig> {
        let made = if scheme == "https" { ProxyConfig::https(&self.url) } else { ProxyConfig::http(&self.url) };
        made.ok().map(|config| config.no_proxy(&self.direct))
    }
}

/// The HTTP client of the SDKs for URLs of `scheme`.
pub fn client(scheme: &'static str, proxy: Option<Proxy>) -> SharedHttpClient {
    let tls = Provider::Rustls(CryptoMode::Ring);
    let Some(config) = proxy.and_then(|proxy| proxy.for_aws(scheme)) else {
        return Builder::new().tls_provider(tls).build_https();
    };
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(config.clone());
        if let Some(settings) = settings {
            builder.set_connector_settings(Some(settings.clone()));
        }
        if let Some(sleep) = components.and_then(|it| it.sleep_impl()) {
            builder.set_sleep_impl(Some(sleep));
        }
        builder.tls_provider(tls.clone()).build()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(scheme: &str, given: &[(&str, &str)]) -> Option<Proxy> {
        let given: Vec<(String, String)> = given.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Proxy::of(scheme, move |name| given.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone()))
    }

    #[test]
    fn the_environment_says_what_goes_by_a_proxy() {
        assert_eq!(proxy("https", &[("HTTP_PROXY", "http://p:1")]), None, "that is for others");
        assert_eq!(proxy("https", &[("HTTPS_PROXY", " ")]), None);
        let found =
            proxy("https", &[("https_proxy", "ada:hush@proxy.corp.example:3128"), ("no_proxy", ".inside.example")]);
        let found = found.unwrap();
        assert_eq!(found.name(), "proxy.corp.example:3128", "and never the password");
        for (url, through) in [
            ("https://rds.us-east-1.amazonaws.com/", true),
            ("https://s3.inside.example/", false),
            ("https://127.0.0.1:4566/", false),
            ("http://169.254.169.254/latest", false),
            ("https://localhost:1/", false),
        ] {
            assert_eq!(found.is_for(url), through, "{url}");
        }
    }
}
