"""A server that speaks Bolt and is not of Neo4j's make: ArcadeDB, with a database called as Neo4j's own, until it is killed. Takes
the folder that it may write to, the port of Bolt, another port, and the password of its user root."""

import os
import sys
import threading

folder, bolt, http, password = sys.argv[1:]
os.chdir(folder)  # its log goes wherever it is started

from arcadedb_embedded.server import ArcadeDBServer

config = {
    "host": "127.0.0.1",
    "http_port": int(http),
    "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
    "bolt_port": int(bolt),
}
server = ArcadeDBServer(folder, root_password=password, config=config)
server.start()
server.create_database("neo4j")
threading.Event().wait()
