"""The Neo4j Python driver, as anybody would use it, against the lab's cluster. Addresses come in LAB_NEO4J_<N> variables."""

import os

from neo4j import GraphDatabase
from neo4j.exceptions import AuthError, DriverError, Neo4jError

SERVERS = [os.environ[f"LAB_NEO4J_{number}"] for number in (1, 2, 3)]


def rows(address, query, database="system", **parameters):
    with GraphDatabase.driver(address, auth=("neo4j", "labpassword")) as driver:
        with driver.session(database=database) as session:
            return [record.data() for record in session.run(query, parameters)]


def refused(address, query, database):
    try:
        rows(address, query, database)
    except (DriverError, Neo4jError) as error:
        return type(error).__name__
    raise AssertionError(f"{query} was taken by {address}")


leader = SERVERS[0]
servers = rows(leader, "SHOW SERVERS")
assert sorted(row["name"] for row in servers) == ["neo4j-1", "neo4j-2", "neo4j-3"], servers
assert all(row["state"] == "Enabled" and row["health"] == "Available" for row in servers), servers
databases = rows(leader, "SHOW DATABASES YIELD *")
mine = [row for row in databases if row["name"] == "neo4j"]
assert len(mine) == 3 and sum(row["writer"] for row in mine) == 1, databases
checked = rows(leader, "CALL dbms.cluster.statusCheck([], 2000)")
assert checked, checked
for follower in SERVERS[1:]:
    # What the driver makes of Neo.ClientError.Cluster.NotALeader.
    assert refused(follower, "CREATE (:Canary)", "neo4j") in ("WriteServiceUnavailable", "NotALeader")
try:
    with GraphDatabase.driver(leader, auth=("neo4j", "wrong")) as driver:
        driver.verify_connectivity()
    raise AssertionError("a wrong password was taken")
except AuthError:
    pass
