//! The neo4j driver against the lab.
