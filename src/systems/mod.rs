//! One file per system that can be watched or failed over. A file knows everything Mayday knows about that system: its row in the
//! table of kinds, the connection, probes, recovery points and steps. Adding a system is one file and one row in [`FACTORIES`].
//!
//! A function that calls a vendor's client returns a `BoxFuture`. The methods of our traits have lifetimes with bounds of their own, under
//! which the compiler shares nothing that it proves: without the box each of them walks through all types of the vendor's client to
//! learn that its future is `Send`, which was two thirds of the time that a check of this crate took.

pub mod accelerator;
pub mod arc;
pub mod aws;
pub mod bounds;
pub mod cloudfront;
pub mod cloudwatch;
pub mod dated;
pub mod dns;
pub mod files;
pub mod grpc;
pub mod http;
pub mod icmp;
pub mod kubernetes;
pub mod looking;
pub mod neo4j;
pub mod patience;
pub mod permits;
pub mod prometheus;
pub mod rds;
pub mod reach;
pub mod redis;
pub mod route53;
pub mod s3;
pub mod script;
pub mod shell;
pub mod tcp;

use crate::domain::system::Factory;

/// Every system that this build can drive.
#[rustfmt::skip] // one row a line
pub const FACTORIES: &[&dyn Factory] = &[
    &accelerator::AcceleratorFactory,
    &arc::ArcFactory,
    &cloudfront::CloudFrontFactory,
    &cloudwatch::CloudWatchFactory,
    &dns::DnsFactory,
    &files::FilesFactory,
    &grpc::GrpcFactory,
    &http::HttpFactory,
    &icmp::IcmpFactory,
    &kubernetes::KubernetesFactory,
    &neo4j::Neo4jFactory,
    &prometheus::PrometheusFactory,
    &rds::RdsFactory,
    &redis::RedisFactory,
    &redis::ClusterFactory,
    &redis::ElastiCacheFactory,
    &route53::Route53Factory,
    &s3::S3Factory,
    &script::ScriptFactory,
    &tcp::TcpFactory,
];
