/* The one table of client commands: word, id, family. Words are compared in either case.
 *
 * family  what a request of it looks like, and which parser function reads it:
 *   RETRIEVE  <word> <key>+                    one request a key
 *   RETOUCH   <word> <exptime> <key>+          one request a key
 *   STORE     <word> <key> <flags> <exptime> <bytes> [noreply] + body
 *   CAS       <word> <key> <flags> <exptime> <bytes> <cas unique> [noreply] + body
 *   ARITH     <word> <key> <delta> [noreply]
 *   DELETE    <word> <key> [0] [noreply]
 *   TOUCH     <word> <key> <exptime> [noreply]
 *   META      <word> <key> [flags]             (ms: <word> <key> <bytes> [flags] + body)
 *   NODE      answered by the node asked, no key
 *   ONCE      <word> <id> <line>: a write command's line, carried out at most once for each id
 */
/* clang-format off */
/*      word          id             family */
COMMAND("get",        GET,           RETRIEVE)
COMMAND("gets",       GETS,          RETRIEVE)
COMMAND("gat",        GAT,           RETOUCH)
COMMAND("gats",       GATS,          RETOUCH)
COMMAND("set",        SET,           STORE)
COMMAND("put",        SET,           STORE)
COMMAND("add",        ADD,           STORE)
COMMAND("replace",    REPLACE,       STORE)
COMMAND("append",     APPEND,        STORE)
COMMAND("prepend",    PREPEND,       STORE)
COMMAND("cas",        CAS,           CAS)
COMMAND("delete",     DELETE,        DELETE)
COMMAND("remove",     DELETE,        DELETE)
COMMAND("incr",       INCR,          ARITH)
COMMAND("decr",       DECR,          ARITH)
COMMAND("touch",      TOUCH,         TOUCH)
COMMAND("mg",         META_GET,      META)
COMMAND("ms",         META_SET,      META)
COMMAND("md",         META_DELETE,   META)
COMMAND("ma",         META_ARITH,    META)
COMMAND("me",         META_DEBUG,    META)
COMMAND("mn",         META_NOOP,     NODE)
COMMAND("flush_all",  FLUSH_ALL,     NODE)
COMMAND("stats",      STATS,         NODE)
COMMAND("version",    VERSION,       NODE)
COMMAND("verbosity",  VERBOSITY,     NODE)
COMMAND("quit",       QUIT,          NODE)
COMMAND("config",     CONFIG,        NODE)
COMMAND("get_membership_list", MEMBERSHIP, NODE)
COMMAND("ring",       RING,          NODE)
COMMAND("status",     STATUS,        NODE)
COMMAND("transfers",  TRANSFERS,     NODE)
COMMAND("copy",       COPY,          NODE)
COMMAND("forget",     FORGET,        NODE)
COMMAND("accept_loss", ACCEPT_LOSS,  NODE)
COMMAND("form",       FORM,          NODE)
COMMAND("leave",      LEAVE,         NODE)
COMMAND("shutdown",   SHUTDOWN,      NODE)
COMMAND("return_port", RETURN_PORT,  NODE)
COMMAND("hello",      HELLO,         NODE)
COMMAND("once",       ONCE,          ONCE)
/* clang-format on */
