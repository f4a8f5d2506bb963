# One broker of a cluster: its ports, its properties, its storage, its process.
# Sourced by scripts/kafka; needs $dir, $libs, $java and the options of the command line.

# shellcheck shell=bash disable=SC2154

# Node i of a cluster at port P listens at P+i-1, its controller at P+10+i-1, its SASL listener at P+20+i-1.
client_port() { echo $((port + $1 - 1)); }
controller_port() { echo $((port + 10 + $1 - 1)); }
sasl_port() { echo $((port + 20 + $1 - 1)); }

# node_list BROKERS FORMAT-FUNCTION: one entry a node, joined by commas.
node_list() {
  local entries=() i
  for ((i = 1; i <= $1; i++)); do entries+=("$("$2" "$i")"); done
  local IFS=,
  echo "${entries[*]}"
}
voter() { echo "$1@127.0.0.1:$(controller_port "$1")"; }
client_address() { echo "127.0.0.1:$(client_port "$1")"; }
sasl_address() { echo "127.0.0.1:$(sasl_port "$1")"; }

# Later lines win in a properties file, so those of the caller come last.
write_properties() {
  local node=$1 copies=$((brokers < 3 ? 1 : 3)) clients
  clients="PLAINTEXT://$(client_address "$node")"
  if [[ $sasl == yes ]]; then clients+=",SASL://$(sasl_address "$node")"; fi
  cat <<PROPERTIES
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$(node_list "$brokers" voter)
controller.listener.names=CONTROLLER
listeners=$clients,CONTROLLER://127.0.0.1:$(controller_port "$node")
advertised.listeners=$clients
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/node-$node/data
default.replication.factor=$copies
min.insync.replicas=$((copies < 3 ? 1 : 2))
offsets.topic.replication.factor=$copies
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$((copies < 3 ? 1 : 2))
transaction.state.log.num.partitions=4
# Saves every new group three seconds.
group.initial.rebalance.delay.ms=0
PROPERTIES
  if ((brokers == 1)); then
    # A broker that was killed may register again only when its old session has ended: 9 s by default.
    echo broker.session.timeout.ms=2000
    echo broker.heartbeat.interval.ms=500
  fi
  if [[ $sasl == yes ]]; then
    # Whoever comes through the plain listener, the tools and the brokers themselves included, may do everything.
    cat <<PROPERTIES
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  user_admin="admin-secret" user_svc="svc-secret";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
allow.everyone.if.no.acl.found=true
PROPERTIES
  fi
  if ((${#properties[@]})); then printf '%s\n' "${properties[@]}"; fi
}

# Writes the node's properties, and formats its storage unless it holds data already.
prepare_node() {
  local home=$dir/node-$1 said
  mkdir -p "$home"
  write_properties "$1" >"$home/server.properties"
  if [[ -f $home/data/meta.properties ]]; then return; fi
  said=$("$java" -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dlog4j2.configurationFile="$here/kafka.d/tools-log4j2.properties" -cp "$libs/*" \
    kafka.tools.StorageTool format -t "$cluster_id" -c "$home/server.properties" 2>&1) ||
    fail "formatting $home failed: $said"
}

# A cluster id is sixteen bytes in URL-safe base64; one that begins with a dash would look like an option.
random_cluster_id() {
  local id
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')
  echo "q${id:1}"
}

# Sets $broker_command to what runs the node's broker in the foreground.
broker_command() {
  broker_command=("$java" "-Xmx$heap" -XX:+UseSerialGC)
  if [[ $quick == yes ]]; then broker_command+=(-XX:TieredStopAtLevel=1); fi
  broker_command+=(-Dlog4j2.configurationFile="$here/kafka.d/log4j2.properties" -cp "$libs/*"
    kafka.Kafka "$dir/node-$1/server.properties")
}

# The process id of the node's broker, if it runs. An id that the system gave to another program since is not ours.
node_pid() {
  local pid
  pid=$(cat "$dir/node-$1/pid" 2>/dev/null) || return 1
  [[ $(ps -ww -o args= -p "$pid" 2>/dev/null) == *"kafka.Kafka $dir/node-$1/server.properties" ]] || return 1
  echo "$pid"
}
