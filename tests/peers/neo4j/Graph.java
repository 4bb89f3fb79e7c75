import java.nio.file.Path;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.configuration.ssl.ClientAuth;
import org.neo4j.configuration.ssl.SslPolicyConfig;
import org.neo4j.configuration.ssl.SslPolicyScope;
import org.neo4j.harness.Neo4j;
import org.neo4j.harness.Neo4jBuilder;
import org.neo4j.harness.Neo4jBuilders;

/**
 * Neo4j Community in this process: FOLDER PORT [tls]. It prints a line once it takes logins, and ends with its input.
 */
public class Graph {
    public static void main(String[] args) throws Exception {
        Neo4jBuilder builder = Neo4jBuilders.newInProcessBuilder(Path.of(args[0]))
            .withDisabledServer()
            .withConfig(GraphDatabaseSettings.auth_enabled, true)
            .withConfig(BoltConnector.listen_address, new SocketAddress("127.0.0.1", Integer.parseInt(args[1])));
        if (args.length > 2) {
            // The harness makes a certificate of its own, in a folder `certificates`.
            SslPolicyConfig policy = SslPolicyConfig.forScope(SslPolicyScope.BOLT);
            builder = builder
                .withConfig(BoltConnector.encryption_level, BoltConnector.EncryptionLevel.REQUIRED)
                .withConfig(policy.enabled, true)
                .withConfig(policy.client_auth, ClientAuth.NONE);
        }
        Neo4j graph = builder.build();
        System.out.println(graph.boltURI());
        while (System.in.read() >= 0) {
        }
        System.exit(0);
    }
}
