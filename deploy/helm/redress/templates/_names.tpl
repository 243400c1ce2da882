{{- /* Names, labels and images: what several files say alike. */ -}}

{{- define "redress.labels" -}}
app.kubernetes.io/name: redress
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "redress.selector" -}}
app.kubernetes.io/name: redress
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* The values of one service: what holds for each, and what differs for it. */ -}}
{{- define "redress.own" -}}
{{- $own := get .root.Values.services .service.name | default dict -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $own) | toYaml -}}
{{- end }}

{{- define "redress.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := printf "redress/%s" .name -}}
{{- with $image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- with get $image.digests .name -}}
{{ $name }}@{{ . }}
{{- else -}}
{{ $name }}:{{ coalesce .tag $image.tag (.root.Chart.AppVersion | replace "+" "_") }}
{{- end -}}
{{- end }}

{{- /* Secrets. All are there already, but for those that an operator makes. */ -}}
{{- define "redress.macKeysSecret" -}}{{ .Values.macKeys.name | default (printf "%s-mac-keys" .Release.Name) }}{{- end }}
{{- define "redress.masterKeySecret" -}}{{ .Values.masterKey.name | default (printf "%s-master-key" .Release.Name) }}{{- end }}
{{- /* The master keys' names in there, with a comma behind each. */ -}}
{{- define "redress.masterKeyNames" -}}
{{- $key := .Values.masterKey.key -}}
{{- range .Values.masterKey.numbers }}{{ if eq (int .) 1 }}{{ $key }}{{ else }}{{ trimSuffix (ext $key) $key }}.{{ int . }}{{ ext $key }}{{ end }},{{ end }}
{{- end }}
{{- define "redress.kafkaSecret" -}}{{ .root.Release.Name }}-{{ .name }}-kafka{{- end }}
{{- define "redress.tlsSecret" -}}{{ .root.Release.Name }}-{{ .name }}-tls{{- end }}
{{- define "redress.databaseSecret" -}}{{ .root.Release.Name }}-{{ .name }}-{{ .role }}{{- end }}

{{- /* "yes" where a user gets a token before Kafka lets it in. */ -}}
{{- define "redress.kafkaByToken" -}}
{{- if and (eq .Values.kafka.security "SASL_SSL") (eq .Values.kafka.mechanism "OAUTHBEARER") -}}yes{{- end -}}
{{- end }}

{{- define "redress.kafkaAddresses" -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.bootstrap }}{{ $kafka.bootstrap }}{{ else }}{{ $kafka.strimzi.cluster }}-kafka-bootstrap:9093{{ end -}}
{{- end }}

{{- define "redress.kafkaCa" -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.caSecret.name }}{{ $kafka.caSecret.name }}{{ else if eq $kafka.managedBy "strimzi" }}{{ $kafka.strimzi.cluster }}-cluster-ca-cert{{ end -}}
{{- end }}

{{- /* How the pods of one service are reached, and which name their certificate has. */ -}}
{{- define "redress.scheme" -}}{{ ternary "https" "http" .Values.tls.enabled }}{{- end }}
{{- define "redress.url" -}}{{ include "redress.scheme" .root }}://{{ .root.Release.Name }}-{{ .name }}:{{ .port }}{{- end }}
{{- define "redress.serverName" -}}{{ .root.Release.Name }}-{{ .name }}.{{ .root.Release.Namespace }}.svc{{- end }}

{{- define "redress.postgresCluster" -}}{{ .Release.Name }}-postgres{{- end }}

{{- define "redress.postgresHost" -}}
{{- if eq .root.Values.postgres.managedBy "cloudnativepg" -}}
{{ include "redress.postgresCluster" .root }}-rw
{{- else -}}
{{ coalesce .own.postgresHost .root.Values.postgres.host }}
{{- end -}}
{{- end }}

{{- define "redress.postgresCa" -}}
{{- $postgres := .Values.postgres -}}
{{- if $postgres.caSecret.name }}{{ $postgres.caSecret.name }}{{ else if eq $postgres.managedBy "cloudnativepg" }}{{ include "redress.postgresCluster" . }}-ca{{ end -}}
{{- end }}

{{- /* "yes" where all that the jobs need is there before the chart: then they run before anything else is changed. Where an operator makes
what they need from objects of this very chart, a hook would wait for what comes after it: they are plain jobs, and services wait for them. */ -}}
{{- define "redress.jobsAreHooks" -}}
{{- if and (eq .Values.kafka.managedBy "existing") (eq .Values.postgres.managedBy "existing") (not .Values.externalSecrets.enabled) -}}yes{{- end -}}
{{- end }}
