// A day of pgjdbc: what tools ask of DatabaseMetaData, and its own ways to read, write, copy and cancel.
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.*;
import java.util.*;
import java.util.concurrent.Executors;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

public class JdbcDay {
    static Connection connect(String... options) throws SQLException {
        Map<String, String> env = System.getenv();
        String where = "jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE");
        Properties with = new Properties();
        with.setProperty("user", env.get("PGUSER"));
        with.setProperty("password", env.get("PGPASSWORD"));
        with.setProperty("sslmode", "disable");
        for (String option : options) with.setProperty(option.split("=")[0], option.split("=")[1]);
        return DriverManager.getConnection(where, with);
    }

    static void show(String what, ResultSet rows) throws SQLException {
        System.out.println("== " + what);
        ResultSetMetaData columns = rows.getMetaData();
        while (rows.next()) {
            StringJoiner line = new StringJoiner("|");
            for (int at = 1; at <= columns.getColumnCount(); at++) line.add(rows.getString(at));
            System.out.println(line);
        }
        rows.close();
    }

    static void looksAround(Connection connection) throws SQLException {
        DatabaseMetaData about = connection.getMetaData();
        System.out.println(about.getDatabaseProductName() + about.getDatabaseProductVersion() + about.getMaxConnections());
        System.out.println(about.getSQLKeywords().length() > 0 ? about.getNumericFunctions() : "");
        show("catalogs", about.getCatalogs());
        show("schemas", about.getSchemas());
        show("types of tables", about.getTableTypes());
        show("tables", about.getTables(null, "library", "%", new String[] {"TABLE", "VIEW", "MATERIALIZED VIEW"}));
        show("all tables", about.getTables(null, null, "%", null));
        show("columns", about.getColumns(null, "library", "%", "%"));
        show("odd columns", about.getColumns(null, "Odd Names", "Sel%", null));
        show("keys", about.getPrimaryKeys(null, "library", "edition"));
        show("imported", about.getImportedKeys(null, "library", "loan"));
        show("exported", about.getExportedKeys(null, "library", "book"));
        show("crossed", about.getCrossReference(null, "library", "author", null, "library", "book"));
        show("indexes", about.getIndexInfo(null, "library", "book", false, false));
        show("functions", about.getFunctions(null, "library", "%"));
        show("columns of functions", about.getFunctionColumns(null, "library", "%", "%"));
        show("procedures", about.getProcedures(null, "library", "%"));
        show("columns of procedures", about.getProcedureColumns(null, "library", "%", "%"));
        show("rights", about.getTablePrivileges(null, "library", "book"));
        show("rights of columns", about.getColumnPrivileges(null, "library", "book", "%"));
        show("best rows", about.getBestRowIdentifier(null, "library", "book", DatabaseMetaData.bestRowSession, true));
        show("versions", about.getVersionColumns(null, "library", "book"));
        show("udts", about.getUDTs(null, "library", "%", null));
        show("types", about.getTypeInfo());
        show("client info", about.getClientInfoProperties());
    }

    static void reads() throws Exception {
        try (Connection connection = connect()) {
            looksAround(connection);
            connection.setReadOnly(true);
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            connection.setAutoCommit(false);
            PreparedStatement fetching = connection.prepareStatement("SELECT id, title, tags, cover, added, extra FROM library.book ORDER BY id");
            fetching.setFetchSize(7);
            show("fetched", fetching.executeQuery());
            ResultSetMetaData told = fetching.getMetaData();
            System.out.println(told.getColumnTypeName(3) + told.isNullable(1) + told.isAutoIncrement(1) + told.getPrecision(2));
            connection.commit();
            connection.setAutoCommit(true);
        }
        for (String binary : new String[] {"true", "false"}) {
            try (Connection connection = connect("binaryTransfer=" + binary, "prepareThreshold=2", "ApplicationName=day")) {
                PreparedStatement one = connection.prepareStatement("SELECT title, pages, price, ratio, token, added FROM library.book WHERE id = ?");
                for (int id = 1; id < 8; id++) {
                    one.setInt(1, id);
                    show("one", one.executeQuery());
                }
                System.out.println(one.getParameterMetaData().getParameterTypeName(1));
            }
        }
        try (Connection connection = connect("preferQueryMode=simple"); Statement statement = connection.createStatement()) {
            show("simple", statement.executeQuery("SELECT id, title FROM library.book WHERE id < 3 ORDER BY id"));
        }
        copiesAndErrors();
    }

    static void copiesAndErrors() throws Exception {
        try (Connection connection = connect("autosave=always"); Statement statement = connection.createStatement()) {
            StringWriter out = new StringWriter();
            CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
            System.out.println(copies.copyOut("COPY (SELECT id, title FROM library.book ORDER BY id LIMIT 5) TO STDOUT", out));
            System.out.println(out);
            connection.setAutoCommit(false);
            for (String asked : new String[] {"SELECT 1/0", "SELECT nope", "SELECT 'x'::int"}) {
                try {
                    statement.executeQuery(asked);
                } catch (SQLException error) {
                    System.out.println(error.getSQLState() + error.getMessage());
                }
            }
            show("after errors, by a savepoint of the driver", statement.executeQuery("SELECT 'goes on'"));
            connection.commit();
            Thread canceller = new Thread(() -> {
                try {
                    Thread.sleep(300);
                    statement.cancel();
                } catch (Exception error) {
                    throw new RuntimeException(error);
                }
            });
            canceller.start();
            try {
                statement.executeQuery("SELECT pg_sleep(30)");
            } catch (SQLException error) {
                System.out.println(error.getSQLState());
            }
            canceller.join();
            statement.setQueryTimeout(1);
            try {
                statement.executeQuery("SELECT pg_sleep(30)");
            } catch (SQLException error) {
                System.out.println(error.getSQLState());
            }
            show("after the cancels", statement.executeQuery("SELECT 'goes on'"));
            System.out.println(connection.isValid(5));
            connection.setNetworkTimeout(Executors.newSingleThreadExecutor(run -> {
                Thread thread = new Thread(run);
                thread.setDaemon(true);
                return thread;
            }), 500);
            try {
                statement.setQueryTimeout(0);
                statement.executeQuery("SELECT pg_sleep(30)");
            } catch (SQLException error) {
                System.out.println(error.getSQLState());
            }
        }
    }

    static void writes() throws Exception {
        for (String rewrite : new String[] {"true", "false"}) {
            try (Connection connection = connect("reWriteBatchedInserts=" + rewrite); Statement statement = connection.createStatement()) {
                statement.execute("CREATE TEMP TABLE jdbc_day (id serial PRIMARY KEY, name text, n int, at timestamptz)");
                connection.setAutoCommit(false);
                PreparedStatement insert = connection.prepareStatement("INSERT INTO jdbc_day (name, n) VALUES (?, ?)");
                for (int n = 0; n < 500; n++) {
                    insert.setString(1, "it's " + n);
                    insert.setInt(2, n);
                    insert.addBatch();
                }
                System.out.println(insert.executeBatch().length);
                connection.commit();
                PreparedStatement keyed = connection.prepareStatement("INSERT INTO jdbc_day (name) VALUES (?)", Statement.RETURN_GENERATED_KEYS);
                keyed.setString(1, "keyed");
                keyed.executeUpdate();
                show("keys", keyed.getGeneratedKeys());
                CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
                System.out.println(copies.copyIn("COPY jdbc_day (name, n) FROM STDIN", new StringReader("a\t1\nb\t2\n")));
                Savepoint point = connection.setSavepoint("point");
                statement.executeUpdate("DELETE FROM jdbc_day WHERE id > 10");
                connection.rollback(point);
                Statement changing = connection.createStatement(ResultSet.TYPE_SCROLL_SENSITIVE, ResultSet.CONCUR_UPDATABLE);
                ResultSet rows = changing.executeQuery("SELECT id, name FROM jdbc_day WHERE id < 4 ORDER BY id");
                rows.absolute(2);
                rows.updateString("name", "changed in place");
                rows.updateRow();
                rows.close();
                show("what is there", statement.executeQuery("SELECT count(*), sum(n), max(name) FROM jdbc_day"));
                show("changed", statement.executeQuery("SELECT name FROM jdbc_day WHERE id = 2"));
                statement.execute("LISTEN news");
                statement.execute("NOTIFY news, 'jdbc'");
                connection.commit();
                for (PGNotification told : connection.unwrap(PGConnection.class).getNotifications(5000)) System.out.println(told.getParameter());
                statement.execute("DO $$ BEGIN RAISE NOTICE 'heard'; END $$");
                System.out.println(statement.getWarnings().getMessage());
                statement.execute("DROP TABLE jdbc_day");
                connection.commit();
            }
        }
    }

    public static void main(String[] what) throws Exception {
        if (what[0].equals("reads")) reads();
        else writes();
        System.out.println("the day is over");
    }
}
