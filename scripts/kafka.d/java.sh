# Finds Java and Kafka's jars; downloads the jars once for every checkout of this repository.
# Sourced by scripts/kafka; needs $here, `note` and `give_up`.

# shellcheck shell=bash

kafka_version=4.2.1
jar_cache=${XDG_CACHE_HOME:-$HOME/.cache}/quorate/kafka-$kafka_version

# Sets $java to a Java of at least version 17.
find_java() {
  java=java
  if [[ -n ${JAVA_HOME:-} && -x $JAVA_HOME/bin/java ]]; then java=$JAVA_HOME/bin/java; fi
  command -v "$java" >/dev/null || give_up "Java is not installed; Kafka $kafka_version needs Java 17 or later"
  local banner
  banner=$("$java" -version 2>&1) || give_up "'$java -version' failed: $banner"
  if [[ ! $banner =~ version\ \"([0-9]+) ]] || ((BASH_REMATCH[1] < 17)); then
    give_up "Kafka $kafka_version needs Java 17 or later; '$java' is: ${banner%%$'\n'*}"
  fi
}

# Sets $libs to the folder with Kafka's jars: those of KAFKA_HOME, or the cache, which is filled on first use.
find_libs() {
  if [[ -n ${KAFKA_HOME:-} ]]; then
    libs=$KAFKA_HOME/libs
    [[ -d $libs ]] || give_up "KAFKA_HOME is '$KAFKA_HOME', but '$libs' is not a folder"
    return
  fi
  libs=$jar_cache/libs
  [[ -d $libs ]] || download_libs
}

# The folder appears under its final name only when it is complete, so a reader never meets half of it. The lock
# merely keeps a second process from downloading the same jars.
download_libs() {
  command -v mvn >/dev/null ||
    give_up "Maven is not installed and '$libs' does not exist; install Maven, or set KAFKA_HOME to an unpacked Kafka"
  mkdir -p "$jar_cache"
  exec 9>"$jar_cache/lock"
  if command -v flock >/dev/null; then flock 9; fi
  if [[ ! -d $libs ]]; then
    note "downloading Kafka $kafka_version to $libs (54 MB, once)"
    local partial
    partial=$(mktemp -d "$jar_cache/partial.XXXXXX")
    if ! mvn -q -B -f "$here/kafka.d/pom.xml" -Dkafka.version="$kafka_version" dependency:copy-dependencies \
      -DoutputDirectory="$partial/libs" -DincludeScope=runtime >"$partial/maven.log" 2>&1; then
      tail -n 20 "$partial/maven.log" >&2
      rm -rf "$partial"
      give_up "Maven could not download Kafka $kafka_version"
    fi
    [[ -d $libs ]] || mv "$partial/libs" "$libs"
    rm -rf "$partial"
  fi
  exec 9>&-
}
