import { words } from "./words.ts";

/** A kind of section of an HAProxy file that takes lines from a config. */
export type Section = "global" | "defaults" | "frontend" | "backend" | "listen";

/**
 * What a line of each section may start with: the keywords that the manual of HAProxy 1.5 lists for it. These
 * are the lines that 1.0 passes on. They are used only for `directives: predecessor` and a notice, and go
 * with that value.
 */
const DIRECTIVES: Readonly<Record<Section, readonly string[]>> = {
  global: split(`
    ca-base | chroot | crt-base | daemon | gid | group | log | log-send-hostname | nbproc | pidfile | uid
    ulimit-n | user | stats | ssl-server-verify | node | description | unix-bind | max-spread-checks
    maxconn | maxconnrate | maxcomprate | maxcompcpuusage | maxpipes | maxsessrate | maxsslconn | maxsslrate
    noepoll | nokqueue | nopoll | nosplice | nogetaddrinfo | spread-checks | tune.bufsize | tune.chksize
    tune.comp.maxlevel | tune.http.cookielen | tune.http.maxhdr | tune.idletimer | tune.maxaccept
    tune.maxpollevents | tune.maxrewrite | tune.pipesize | tune.rcvbuf.client | tune.rcvbuf.server
    tune.sndbuf.client | tune.sndbuf.server | tune.ssl.cachesize | tune.ssl.lifetime
    tune.ssl.force-private-cache | tune.ssl.maxrecord | tune.ssl.default-dh-param | tune.zlib.memlevel
    tune.zlib.windowsize | debug | quiet
  `),
  defaults: split(`
    backlog | balance | bind-process | clitimeout | compression | contimeout | cookie | default-server
    default_backend | disabled | enabled | errorfile | errorloc | errorloc302 | errorloc303 | fullconn
    grace | hash-type | http-check disable-on-404 | http-check send-state | log | maxconn | mode
    monitor-net | monitor-uri | option abortonclose | option accept-invalid-http-request
    option accept-invalid-http-response | option allbackups | option checkcache | option clitcpka
    option contstats | option dontlog-normal | option dontlognull | option forceclose | option forwardfor
    option http-no-delay | option http-pretend-keepalive | option http-server-close
    option http-use-proxy-header | option httpchk | option httpclose | option httplog | option http_proxy
    option independent-streams | option lb-agent-chk | option ldap-check | option log-health-checks
    option log-separate-errors | option logasap | option mysql-check | option pgsql-check | option nolinger
    option originalto | option persist | option redispatch | option redis-check | option smtpchk
    option socket-stats | option splice-auto | option splice-request | option splice-response
    option srvtcpka | option ssl-hello-chk | option tcp-check | option tcp-smart-accept
    option tcp-smart-connect | option tcpka | option tcplog | option transparent | persist rdp-cookie
    rate-limit sessions | redisp | redispatch | retries | source | srvtimeout | stats auth | stats enable
    stats hide-version | stats realm | stats refresh | stats scope | stats show-desc | stats show-legends
    stats show-node | stats uri | timeout check | timeout client | timeout clitimeout | timeout connect
    timeout contimeout | timeout http-keep-alive | timeout http-request | timeout queue | timeout server
    timeout srvtimeout | timeout tarpit | timeout tunnel | transparent | unique-id-format | unique-id-header
  `),
  frontend: split(`
    acl | backlog | bind | bind-process | block | capture cookie | capture request header
    capture response header | clitimeout | compression | default_backend | description | disabled | enabled
    errorfile | errorloc | errorloc302 | errorloc303 | force-persist | grace | http-request | http-response
    id | ignore-persist | log | maxconn | mode | monitor fail | monitor-net | monitor-uri
    option accept-invalid-http-request | option clitcpka | option contstats | option dontlog-normal
    option dontlognull | option forceclose | option forwardfor | option http-no-delay
    option http-pretend-keepalive | option http-server-close | option http-use-proxy-header
    option httpclose | option httplog | option http_proxy | option independent-streams
    option log-separate-errors | option logasap | option nolinger | option originalto | option socket-stats
    option splice-auto | option splice-request | option splice-response | option tcp-smart-accept
    option tcpka | option tcplog | rate-limit sessions | redirect | reqadd | reqallow | reqdel | reqdeny
    reqiallow | reqidel | reqideny | reqipass | reqirep | reqisetbe | reqitarpit | reqpass | reqrep
    reqsetbe | reqtarpit | rspadd | rspdel | rspdeny | rspidel | rspideny | rspirep | rsprep
    tcp-request connection | tcp-request content | tcp-request inspect-delay | timeout client
    timeout clitimeout | timeout http-keep-alive | timeout http-request | timeout tarpit | unique-id-format
    unique-id-header | use_backend
  `),
  backend: split(`
    acl | appsession | balance | bind-process | block | compression | contimeout | cookie | default-server
    description | disabled | dispatch | enabled | errorfile | errorloc | errorloc302 | errorloc303
    force-persist | fullconn | grace | hash-type | http-check disable-on-404 | http-check expect
    http-check send-state | http-request | http-response | id | ignore-persist | log | mode
    option abortonclose | option accept-invalid-http-response | option allbackups | option checkcache
    option forceclose | option forwardfor | option http-no-delay | option http-pretend-keepalive
    option http-server-close | option httpchk | option httpclose | option httplog | option http_proxy
    option independent-streams | option lb-agent-chk | option ldap-check | option log-health-checks
    option mysql-check | option pgsql-check | option nolinger | option originalto | option persist
    option redispatch | option redis-check | option smtpchk | option splice-auto | option splice-request
    option splice-response | option srvtcpka | option ssl-hello-chk | option tcp-check
    option tcp-smart-connect | option tcpka | option tcplog | option transparent | persist rdp-cookie
    redirect | redisp | redispatch | reqadd | reqallow | reqdel | reqdeny | reqiallow | reqidel | reqideny
    reqipass | reqirep | reqisetbe | reqitarpit | reqpass | reqrep | reqsetbe | reqtarpit | retries | rspadd
    rspdel | rspdeny | rspidel | rspideny | rspirep | rsprep | server | source | srvtimeout | stats admin
    stats auth | stats enable | stats hide-version | stats http-request | stats realm | stats refresh
    stats scope | stats show-desc | stats show-legends | stats show-node | stats uri | stick match
    stick on | stick store-request | stick store-response | stick-table | tcp-check connect
    tcp-check expect | tcp-check send | tcp-check send-binary | tcp-request content
    tcp-request inspect-delay | tcp-response content | tcp-response inspect-delay | timeout check
    timeout connect | timeout contimeout | timeout http-keep-alive | timeout http-request | timeout queue
    timeout server | timeout srvtimeout | timeout tarpit | timeout tunnel | transparent | use-server
  `),
  listen: split(`
    acl | appsession | backlog | balance | bind | bind-process | block | capture cookie
    capture request header | capture response header | clitimeout | compression | contimeout | cookie
    default-server | default_backend | description | disabled | dispatch | enabled | errorfile | errorloc
    errorloc302 | errorloc303 | force-persist | fullconn | grace | hash-type | http-check disable-on-404
    http-check expect | http-check send-state | http-request | http-response | id | ignore-persist | log
    maxconn | mode | monitor fail | monitor-net | monitor-uri | option abortonclose
    option accept-invalid-http-request | option accept-invalid-http-response | option allbackups
    option checkcache | option clitcpka | option contstats | option dontlog-normal | option dontlognull
    option forceclose | option forwardfor | option http-no-delay | option http-pretend-keepalive
    option http-server-close | option http-use-proxy-header | option httpchk | option httpclose
    option httplog | option http_proxy | option independent-streams | option lb-agent-chk
    option ldap-check | option log-health-checks | option log-separate-errors | option logasap
    option mysql-check | option pgsql-check | option nolinger | option originalto | option persist
    option redispatch | option redis-check | option smtpchk | option socket-stats | option splice-auto
    option splice-request | option splice-response | option srvtcpka | option ssl-hello-chk
    option tcp-check | option tcp-smart-accept | option tcp-smart-connect | option tcpka | option tcplog
    option transparent | persist rdp-cookie | rate-limit sessions | redirect | redisp | redispatch | reqadd
    reqallow | reqdel | reqdeny | reqiallow | reqidel | reqideny | reqipass | reqirep | reqisetbe
    reqitarpit | reqpass | reqrep | reqsetbe | reqtarpit | retries | rspadd | rspdel | rspdeny | rspidel
    rspideny | rspirep | rsprep | server | source | srvtimeout | stats admin | stats auth | stats enable
    stats hide-version | stats http-request | stats realm | stats refresh | stats scope | stats show-desc
    stats show-legends | stats show-node | stats uri | stick match | stick on | stick store-request
    stick store-response | stick-table | tcp-check connect | tcp-check expect | tcp-check send
    tcp-check send-binary | tcp-request connection | tcp-request content | tcp-request inspect-delay
    tcp-response content | tcp-response inspect-delay | timeout check | timeout client | timeout clitimeout
    timeout connect | timeout contimeout | timeout http-keep-alive | timeout http-request | timeout queue
    timeout server | timeout srvtimeout | timeout tarpit | timeout tunnel | transparent | unique-id-format
    unique-id-header | use_backend | use-server
  `),
};

/**
 * Whether a section takes a line, by the rule of 1.0: lower-cased and trimmed it starts with a directive of
 * the section. (So `logger x` passes as `log`; HAProxy decides in the end.)
 */
export function accepts(section: Section, line: string): boolean {
  const plain = line.trim().toLowerCase();
  return DIRECTIVES[section].some((directive) => plain.startsWith(directive));
}

/** What starts a section of its own in a file of HAProxy, of any version. */
const SECTIONS = new Set([
  "global",
  "defaults",
  "listen",
  "frontend",
  "backend",
  "peers",
  "userlist",
  "mailers",
  "resolvers",
  "cache",
  "program",
  "ring",
  "http-errors",
  "fcgi-app",
  "log-forward",
  "log-profile",
  "crt-store",
  "namespace_list",
  "traces",
  "acme",
  "healthcheck",
]);

/**
 * Whether a line would affect more than its section: it starts another one, or a condition around the
 * following lines.
 */
export function reachesBeyond(line: string): boolean {
  const [first = ""] = words(line);
  return SECTIONS.has(first) || first.startsWith(".");
}

/**
 * Actions of rules that neither restrict a request nor change what a later rule or the server sees of it (configuration
 * manual, 4.3). All others are taken for guards: `return` and `redirect` keep a request from a server, a variable or a
 * counter may be what a later `deny` asks for, and a server may trust a header because a rule deletes the client's.
 */
const HARMLESS_ACTIONS = new Set([
  "cache-store",
  "cache-use",
  "capture",
  "do-log",
  "early-hint",
  "set-bc-mark",
  "set-bc-tos",
  "set-fc-mark",
  "set-fc-tos",
  "set-log-level",
  "set-mark",
  "set-nice",
  "set-tos",
]);

/**
 * Whether a line restricts or protects: without it more would get through than its author intended, or in
 * clear text.
 */
export function isGuard(line: string): boolean {
  const plain = words(line).join(" ").toLowerCase();
  const [, action] = /^(?:http-(?:request|response|after-response)|tcp-(?:request|response) \S+) (\S+)/.exec(plain) ??
    [];
  return action !== undefined && !HARMLESS_ACTIONS.has(action) ||
    /^(?:block|redirect|reqi?(?:deny|tarpit)|rspi?deny|stats auth|stats http-request) /.test(
      plain,
    ) ||
    /^filter (?:spoe|lua\.)/.test(plain) ||
    /^(?:default-server .*|server .*)\bssl\b/.test(plain);
}

/** One directive per bar or line break. */
function split(directives: string): readonly string[] {
  return directives.trim().split(/\s*[|\n]\s*/);
}
