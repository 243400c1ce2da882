{{- /* What is in a pod: who it is, what it is told, what it mounts. Each mounts what it needs alone. */ -}}

{{- define "redress.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- if .root.Values.userNamespaces }}
hostUsers: false
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .facts.container.user }}
  runAsGroup: {{ .facts.container.user }}
  fsGroup: {{ .facts.container.user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "redress.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* name: whose user. */ -}}
{{- define "redress.kafkaEnvironment" -}}
{{- $kafka := .root.Values.kafka -}}
- name: REDRESS_KAFKA
  value: {{ include "redress.kafkaAddresses" .root | quote }}
- name: REDRESS_KAFKA_SECURITY
  value: {{ $kafka.security }}
{{- if eq $kafka.security "SASL_SSL" }}
- name: REDRESS_KAFKA_SASL_MECHANISM
  value: {{ $kafka.mechanism }}
- name: REDRESS_KAFKA_USERNAME
  {{- if eq $kafka.managedBy "strimzi" }}
  value: {{ include "redress.kafkaSecret" . }}
  {{- else }}
  valueFrom:
    secretKeyRef: { name: {{ include "redress.kafkaSecret" . }}, key: username }
  {{- end }}
- name: REDRESS_KAFKA_PASSWORD_FILE
  value: /etc/redress/kafka/password
{{- if eq $kafka.mechanism "OAUTHBEARER" }}
- name: REDRESS_KAFKA_TOKEN_URL
  value: {{ $kafka.oauth.tokenUrl | quote }}
{{- with $kafka.oauth.scope }}
- name: REDRESS_KAFKA_TOKEN_SCOPE
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- else }}
- name: REDRESS_KAFKA_CERT_FILE
  value: /etc/redress/kafka/user.crt
- name: REDRESS_KAFKA_KEY_FILE
  value: /etc/redress/kafka/user.key
{{- end }}
{{- if include "redress.kafkaCa" .root }}
- name: REDRESS_KAFKA_CA_FILE
  value: /etc/redress/kafka-ca/ca.crt
{{- end }}
- name: REDRESS_PARTITIONS
  value: {{ $kafka.partitions | quote }}
- name: REDRESS_MIN_INSYNC_REPLICAS
  value: {{ $kafka.minInsyncReplicas | quote }}
{{- end }}

{{- /* role: app or owner. variable: which is told the address; file: which the file of the password, that is read for each connection; at: its mount. */ -}}
{{- define "redress.databaseEnvironment" -}}
{{- $postgres := .root.Values.postgres -}}
{{- $database := .service.database -}}
- name: {{ .variable }}
  value: postgresql://{{ $database }}_{{ .role }}@{{ include "redress.postgresHost" . }}:{{ $postgres.port }}/{{ $database }}?sslmode=verify-full&sslrootcert=/etc/redress/postgres-ca/ca.crt
- name: {{ .file }}
  value: /etc/redress/{{ .at | default "postgres" }}/password
{{- end }}

{{- /* Where the master keys are, and what opens them. */ -}}
{{- define "redress.masterKeyEnvironment" -}}
- { name: REDRESS_MASTER_KEY_FILE, value: /etc/redress/master-key/{{ .Values.masterKey.key }} }
{{- with .Values.masterKey.vault }}
{{- if .url }}
- { name: REDRESS_VAULT_URL, value: {{ .url | quote }} }
- { name: REDRESS_VAULT_MOUNT, value: {{ .mount | quote }} }
- { name: REDRESS_VAULT_KEY, value: {{ .key | quote }} }
{{- with .namespace }}
- { name: REDRESS_VAULT_NAMESPACE, value: {{ . | quote }} }
{{- end }}
- { name: REDRESS_VAULT_TOKEN_FILE, value: /etc/redress/vault-token/token }
{{- if .caSecret.name }}
- { name: REDRESS_VAULT_CA_FILE, value: /etc/redress/vault-ca/ca.crt }
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* kafka: whose user; postgres: whose password, owner: whose beside it; tls: whose certificate; token: the secret with one. masterKey,
macKeys, identity, policy, catalogue, tlsCa, tracingCa: whether they are mounted. */ -}}
{{- define "redress.mounts" -}}
{{- with .kafka }}
- { name: kafka, mountPath: /etc/redress/kafka, readOnly: true }
{{- if include "redress.kafkaCa" $.root }}
- { name: kafka-ca, mountPath: /etc/redress/kafka-ca, readOnly: true }
{{- end }}
{{- end }}
{{- if .postgres }}
- { name: postgres, mountPath: /etc/redress/postgres, readOnly: true }
- { name: postgres-ca, mountPath: /etc/redress/postgres-ca, readOnly: true }
{{- end }}
{{- if .masterKey }}
- { name: master-key, mountPath: /etc/redress/master-key, readOnly: true }
{{- if .root.Values.masterKey.vault.url }}
- { name: vault-token, mountPath: /etc/redress/vault-token, readOnly: true }
{{- if .root.Values.masterKey.vault.caSecret.name }}
- { name: vault-ca, mountPath: /etc/redress/vault-ca, readOnly: true }
{{- end }}
{{- end }}
{{- end }}
{{- if .macKeys }}
- { name: mac-keys, mountPath: /etc/redress/mac-keys, readOnly: true }
{{- end }}
{{- if .identity }}
- { name: identity, mountPath: /etc/redress/identity, readOnly: true }
{{- end }}
{{- if .policy }}
- { name: policy, mountPath: /etc/redress/policy, readOnly: true }
{{- end }}
{{- if .catalogue }}
- { name: catalogue, mountPath: /etc/redress/catalogue, readOnly: true }
{{- end }}
{{- if .owner }}
- { name: owner, mountPath: /etc/redress/owner, readOnly: true }
{{- end }}
{{- if .tls }}
- { name: tls, mountPath: /etc/redress/tls, readOnly: true }
{{- end }}
{{- if .tlsCa }}
- { name: tls-ca, mountPath: /etc/redress/tls-ca, readOnly: true }
{{- end }}
{{- if .tracingCa }}
- { name: tracing-ca, mountPath: /etc/redress/tracing-ca, readOnly: true }
{{- end }}
{{- if .token }}
- { name: token, mountPath: /etc/redress/token, readOnly: true }
{{- end }}
{{- if .catalogue }}
- { name: catalogue, mountPath: /etc/redress/catalogue, readOnly: true }
{{- end }}
- { name: tmp, mountPath: /tmp }
{{- end }}

{{- define "redress.volumes" -}}
{{- $values := .root.Values -}}
{{- with .kafka }}
- name: kafka
  secret:
    secretName: {{ include "redress.kafkaSecret" (dict "root" $.root "name" .) }}
    defaultMode: 0440
    items:
      {{- range ternary (list "password") (list "user.crt" "user.key") (eq $values.kafka.security "SASL_SSL") }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
{{- with include "redress.kafkaCa" $.root }}
- name: kafka-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{ key: {{ $values.kafka.caSecret.key }}, path: ca.crt }]
{{- end }}
{{- end }}
{{- with .postgres }}
- name: postgres
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{ key: password, path: password }]
- name: postgres-ca
  secret:
    secretName: {{ include "redress.postgresCa" $.root }}
    defaultMode: 0440
    items: [{ key: {{ $values.postgres.caSecret.key }}, path: ca.crt }]
{{- end }}
{{- if .masterKey }}
- name: master-key
  secret:
    secretName: {{ include "redress.masterKeySecret" .root }}
    defaultMode: 0440
    items:
      {{- range include "redress.masterKeyNames" .root | trimSuffix "," | splitList "," }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
{{- with $values.masterKey.vault }}
{{- if .url }}
- name: vault-token
  secret:
    secretName: {{ .tokenSecret.name }}
    defaultMode: 0440
    items: [{ key: {{ .tokenSecret.key }}, path: token }]
{{- if .caSecret.name }}
- name: vault-ca
  secret:
    secretName: {{ .caSecret.name }}
    defaultMode: 0440
    items: [{ key: {{ .caSecret.key }}, path: ca.crt }]
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if .macKeys }}
- name: mac-keys
  secret:
    secretName: {{ include "redress.macKeysSecret" .root }}
    defaultMode: 0440
{{- end }}
{{- if .identity }}
- name: identity
  secret:
    secretName: {{ $values.identity.filesSecret }}
    defaultMode: 0440
{{- end }}
{{- if .policy }}
- name: policy
  configMap:
    name: {{ $values.policy.configMap }}
    items: [{ key: {{ $values.policy.key }}, path: policy.yaml }]
{{- end }}
{{- if .catalogue }}
- name: catalogue
  configMap:
    name: {{ $values.catalogue.configMap }}
    items: [{ key: {{ $values.catalogue.key }}, path: catalogue.yaml }]
{{- end }}
{{- with .owner }}
- name: owner
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{ key: password, path: password }]
{{- end }}
{{- with .tls }}
- name: tls
  secret:
    secretName: {{ include "redress.tlsSecret" (dict "root" $.root "name" .) }}
    defaultMode: 0440
    items: [{ key: tls.crt, path: tls.crt }, { key: tls.key, path: tls.key }]
{{- end }}
{{- if .tlsCa }}
- name: tls-ca
  configMap:
    name: {{ $values.tls.caConfigMap }}
    items: [{ key: ca.crt, path: ca.crt }]
{{- end }}
{{- if .tracingCa }}
- name: tracing-ca
  secret:
    secretName: {{ $values.tracing.caSecret.name }}
    defaultMode: 0440
    items: [{ key: {{ $values.tracing.caSecret.key }}, path: ca.crt }]
{{- end }}
{{- with .token }}
- name: token
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{ key: token, path: token }]
{{- end }}
{{- if .catalogue }}
- name: catalogue
  configMap:
    name: {{ $values.catalogue.configMap }}
    items: [{ key: {{ $values.catalogue.key }}, path: catalogue.yaml }]
{{- end }}
- name: tmp
  emptyDir: { sizeLimit: 256Mi }
{{- end }}

{{- /* What is large and only for a while: a rebuild's copy of the journal. */ -}}
{{- define "redress.spool" -}}
{{- $spool := .Values.jobs.spool -}}
- name: spool
  {{- if $spool.class }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ $spool.class }}
        resources:
          requests: { storage: {{ $spool.size }} }
  {{- else }}
  emptyDir: { sizeLimit: {{ $spool.size }} }
  {{- end }}
{{- end }}

{{- /* What a job takes. Without a class of volumes its spool is on the node's disk: so it comes to a node that has as much. */ -}}
{{- define "redress.jobResources" -}}
{{- $resources := deepCopy .Values.jobs.resources -}}
{{- if and (not .Values.jobs.spool.class) (not (hasKey $resources.requests "ephemeral-storage")) -}}
{{- $_ := set $resources.requests "ephemeral-storage" .Values.jobs.spool.size -}}
{{- end -}}
{{- $resources | toYaml -}}
{{- end }}
