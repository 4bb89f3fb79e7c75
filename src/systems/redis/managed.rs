//! Redis that Amazon runs, configured as if somebody else did. It is read like any other; what changes its roles goes by Amazon's own API
//! ([`elasticache`](super::elasticache)), and `REPLICAOF`, `CONFIG` and Sentinels do not exist there.
//! <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/RestrictedCommands.html>

use super::{Redis, client};
use crate::domain::system::Fault;

/// Who runs the server at `address`, by the domain that Amazon gives its endpoints.
pub fn runs(address: &str) -> Option<&'static str> {
    let (host, _) = client::split(address)?;
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let host = host.trim_end_matches(".cn");
    let amazon = host.strip_suffix(".amazonaws.com")?;
    let has = |label: &str| amazon.split('.').any(|it| it == label);
    match (has("cache"), has("memorydb")) {
        (_, true) => Some("MemoryDB"),
        (true, _) => Some("ElastiCache"),
        _ => None,
    }
}

/// # Errors
/// When Sentinels are said to watch what has none.
pub fn refuse_sentinels(redis: &Redis) -> Result<(), Fault> {
    let all = redis.sentinels.iter().chain(redis.nodes.values()).chain(redis.regions.keys());
    let Some(service) = all.into_iter().find_map(|address| runs(address)).filter(|_| !redis.sentinels.is_empty())
    else {
        return Ok(());
    };
    Err(Fault::permanent(redis.id.as_str(), format!("{service} has no Sentinels: it fails over by itself"))
        .next("leave `sentinels` and `master_name` out; its servers are then watched by `nodes` and `regions`"))
}

/// # Errors
/// When a step would change what only Amazon's API can change.
pub fn refuse_step<'a>(id: &str, kind: &str, mut servers: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
    let Some(service) = servers.find_map(|address| runs(address)) else { return Ok(()) };
    let next = match service {
        // <https://docs.aws.amazon.com/memorydb/latest/APIReference/API_FailoverShard.html>
        "MemoryDB" => {
            "move clients: a Multi-Region cluster takes writes in every region, and `FailoverShard` is for tests alone, as Amazon says"
        }
        _ => {
            "use kind = \"elasticache\" and elasticache.failover for a Global Datastore; within a region ElastiCache fails over by itself"
        }
    };
    Err(Fault::permanent(
        id,
        format!("`{kind}` cannot be done: this is {service}, which is Amazon's: it takes no REPLICAOF and no CONFIG"),
    )
    .means("only Amazon's own API changes its roles")
    .next(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_endpoints_are_known_by_their_domain() {
        let rows = [
            ("orders.abc123.ng.0001.use1.cache.amazonaws.com:6379", Some("ElastiCache")),
            ("master.orders.abc123.use1.cache.amazonaws.com:6379", Some("ElastiCache")),
            ("orders.abc.0001.cnn1.cache.amazonaws.com.cn:6379", Some("ElastiCache")),
            ("clustercfg.orders.abc123.memorydb.us-east-1.amazonaws.com:6379", Some("MemoryDB")),
            ("ec2-1-2-3-4.compute-1.amazonaws.com:6379", None),
            ("cache.example.com:6379", None),
            ("r1", None),
        ];
        for (address, wanted) in rows {
            assert_eq!(runs(address), wanted, "{address}");
        }
        let address = "orders.abc123.ng.0001.use1.cache.amazonaws.com:6379".to_owned();
        let fault = refuse_step("cache", "redis.promote", std::iter::once(&address)).unwrap_err();
        assert!(fault.what.contains("ElastiCache") && fault.next.contains("elasticache.failover"), "{fault}");
    }
}
