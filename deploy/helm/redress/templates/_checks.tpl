{{- /* What values.schema.json cannot say: values that do not go together. Each in a sentence that says what to do. */ -}}
{{- define "redress.checks" -}}
{{- $values := .Values -}}
{{- $facts := .Files.Get "files/services.yaml" | fromYaml -}}
{{- if gt (len .Release.Name) 30 }}{{ fail "The release's name stands in names of services and secrets: choose one of 30 letters at most." }}{{ end -}}
{{- if not $values.identity.issuer }}{{ fail "identity.issuer is missing: the issuer that tokens must name." }}{{ end -}}
{{- if not $values.identity.jwks }}{{ fail "identity.jwks is missing: the https address of the issuer's public keys." }}{{ end -}}
{{- $kafka := $values.kafka -}}
{{- if eq $kafka.managedBy "strimzi" -}}
{{- if not $kafka.strimzi.cluster }}{{ fail "kafka.strimzi.cluster is missing: the name of the Kafka cluster in this namespace." }}{{ end -}}
{{- if and (eq $kafka.security "SASL_SSL") (ne $kafka.mechanism "SCRAM-SHA-512") }}{{ fail "Strimzi's users have SCRAM-SHA-512 alone: leave kafka.mechanism at it." }}{{ end -}}
{{- else if and (eq $kafka.security "SASL_SSL") (eq $kafka.mechanism "OAUTHBEARER") (not $kafka.oauth.tokenUrl) }}{{ fail "kafka.oauth.tokenUrl is missing: the https address where clients get tokens for Kafka." }}
{{- else if not $kafka.bootstrap }}{{ fail "kafka.bootstrap is missing: the addresses of your Kafka, host:port, several with commas." }}
{{- end -}}
{{- if lt (int $kafka.replicationFactor) (int $kafka.minInsyncReplicas) }}{{ fail "kafka.minInsyncReplicas is above kafka.replicationFactor: there is no such topic." }}{{ end -}}
{{- $postgres := $values.postgres -}}
{{- if eq $postgres.managedBy "existing" -}}
{{- range $facts.services -}}
{{- $own := include "redress.own" (dict "root" $ "service" .) | fromYaml -}}
{{- if not (coalesce $own.postgresHost $postgres.host) }}{{ fail (printf "postgres.host is missing: the server with the database %s, or services.%s.postgresHost." .database .name) }}{{ end -}}
{{- end -}}
{{- if not $postgres.caSecret.name }}{{ fail "postgres.caSecret.name is missing: the server's certificate is compared with what is in there." }}{{ end -}}
{{- end -}}
{{- if and $values.externalSecrets.enabled (not $values.externalSecrets.store.name) }}{{ fail "externalSecrets.store.name is missing: the store that holds the secrets." }}{{ end -}}
{{- if $values.networkPolicy.enabled -}}
{{- if and (eq $kafka.managedBy "existing") (not $values.networkPolicy.kafka) }}{{ fail "networkPolicy.kafka is empty: name the peers that are Kafka, or nobody reaches it." }}{{ end -}}
{{- if and (eq $postgres.managedBy "existing") (not $values.networkPolicy.postgres) }}{{ fail "networkPolicy.postgres is empty: name the peers that are PostgreSQL, or nobody reaches it." }}{{ end -}}
{{- if not $values.networkPolicy.identity }}{{ fail "networkPolicy.identity is empty: name the peers that serve the issuer's keys, or every token is refused." }}{{ end -}}
{{- if and (eq (include "redress.kafkaByToken" .) "yes") (not $values.networkPolicy.kafkaTokens) }}{{ fail "networkPolicy.kafkaTokens is empty: name the peers that give tokens for Kafka, or nobody is let in." }}{{ end -}}
{{- if and $values.masterKey.vault.url (not $values.networkPolicy.vault) }}{{ fail "networkPolicy.vault is empty: name the peers that are Vault, or no master key is opened." }}{{ end -}}
{{- if and $values.tracing.endpoint (not $values.networkPolicy.tracing) }}{{ fail "networkPolicy.tracing is empty: name the peers that collect spans, or none arrives." }}{{ end -}}
{{- end -}}
{{- range $values.networkPolicy.webhooks -}}
{{- with .ipBlock -}}
{{- if and (has .cidr (list "0.0.0.0/0" "169.254.0.0/16" "169.254.169.254/32")) (not (has "169.254.0.0/16" (.except | default list))) }}{{ fail "networkPolicy.webhooks lets intake reach 169.254.169.254, where clouds hand out a node's credentials: put 169.254.0.0/16 into except." }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if and $values.masterKey.vault.url (not $values.masterKey.vault.tokenSecret.name) }}{{ fail "masterKey.vault.tokenSecret.name is missing: the secret with the token for Vault." }}{{ end -}}
{{- if and $values.ingress.enabled (not $values.ingress.host) }}{{ fail "ingress.host is missing: the name under which the services are reached." }}{{ end -}}
{{- if and $values.ingress.enabled (not $values.ingress.tlsSecret) }}{{ fail "ingress.tlsSecret is missing: tokens and customers' words do not cross the network in clear." }}{{ end -}}
{{- if and $values.gateway.enabled (not $values.gateway.parentRefs) }}{{ fail "gateway.parentRefs is empty: name the gateway that routes belong to." }}{{ end -}}
{{- if and $values.tls.enabled (not $values.tls.caConfigMap) }}{{ fail "tls.caConfigMap is missing: the ConfigMap with the certificates, under ca.crt, that sign the services'." }}{{ end -}}
{{- if hasKey $values.tracing.settings "OTEL_EXPORTER_OTLP_HEADERS" }}{{ fail "OTEL_EXPORTER_OTLP_HEADERS holds what is secret: name it by tracing.headersSecret." }}{{ end -}}
{{- if $values.operator.service }}
{{- if .Release.IsUpgrade }}{{ fail "operator.service is for `helm template` alone, whose Job is made by hand: take it out of the release's values." }}{{ end -}}
{{- if not $values.operator.command }}{{ fail "operator.command is missing: what stands behind `redress`, as [\"verify\"]." }}{{ end -}}
{{- else if $values.operator.command }}{{ fail "operator.service is missing: the service on which the command works." }}
{{- end -}}
{{- range $name, $own := $values.services -}}
{{- if and $own.tag (get $values.image.digests $name) }}{{ fail (printf "services.%s.tag says one image and image.digests.%s another: hold that service back by its digest." $name $name) }}{{ end -}}
{{- end -}}
{{- $fixed := list "REDRESS_DATABASE_URL" "REDRESS_DATABASE_PASSWORD_FILE" "REDRESS_KAFKA" "REDRESS_KAFKA_SECURITY" "REDRESS_KAFKA_SASL_MECHANISM" "REDRESS_KAFKA_USERNAME" "REDRESS_KAFKA_PASSWORD" "REDRESS_KAFKA_PASSWORD_FILE" "REDRESS_KAFKA_CA_FILE" "REDRESS_KAFKA_CERT_FILE" "REDRESS_KAFKA_KEY_FILE" "REDRESS_KAFKA_TOKEN_URL" "REDRESS_KAFKA_TOKEN_SCOPE" "REDRESS_KAFKA_TOKEN_FILE" "REDRESS_MASTER_KEY_FILE" "REDRESS_VAULT_URL" "REDRESS_VAULT_MOUNT" "REDRESS_VAULT_KEY" "REDRESS_VAULT_NAMESPACE" "REDRESS_VAULT_TOKEN_FILE" "REDRESS_VAULT_CA_FILE" "REDRESS_MAC_KEYS_DIR" "REDRESS_JWKS" "REDRESS_ISSUER" "REDRESS_AUDIENCE" "REDRESS_PROFILE" "REDRESS_PARTITIONS" "REDRESS_MIN_INSYNC_REPLICAS" "REDRESS_POLICY" "REDRESS_CATALOGUE" "REDRESS_OTLP_ENDPOINT" "REDRESS_OTLP_SAMPLE" "REDRESS_OPS_PORT" "REDRESS_ROOT_PATH" "REDRESS_TLS_CERT_FILE" "REDRESS_TLS_KEY_FILE" -}}
{{- range $facts.services -}}
{{- $own := include "redress.own" (dict "root" $ "service" .) | fromYaml -}}
{{- range $name, $_ := merge (dict) $values.settings $own.settings -}}
{{- if has $name $fixed }}{{ fail (printf "%s is set by the chart, from a value of its own: take it out of settings." $name) }}{{ end -}}
{{- end -}}
{{- $scale := $own.autoscaling -}}
{{- if ne $scale.kind "none" -}}
{{- if lt (int $scale.max) (int $scale.min) }}{{ fail (printf "services.%s.autoscaling.max is below its min." .name) }}{{ end -}}
{{- if and (eq $scale.kind "lag") (gt (int $scale.max) (int $kafka.partitions)) }}{{ fail (printf "services.%s.autoscaling.max is above kafka.partitions: replicas beyond %d read nothing." .name (int $kafka.partitions)) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end }}
