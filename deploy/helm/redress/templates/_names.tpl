{{- /* Names, labels and images: what several files say alike. */ -}}

{{- define "redress.labels" -}}
app.kubernetes.io/name: redress
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
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
{{ $name }}:{{ coalesce .tag $image.tag .root.Chart.AppVersion }}
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
{{- define "redress.databaseSecret" -}}{{ .root.Release.Name }}-{{ .name }}-{{ .role }}{{- end }}

{{- define "redress.kafkaAddresses" -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.bootstrap }}{{ $kafka.bootstrap }}{{ else }}{{ $kafka.strimzi.cluster }}-kafka-bootstrap:9093{{ end -}}
{{- end }}

{{- define "redress.kafkaCa" -}}
{{- $kafka := .Values.kafka -}}
{{- if $kafka.caSecret.name }}{{ $kafka.caSecret.name }}{{ else if eq $kafka.managedBy "strimzi" }}{{ $kafka.strimzi.cluster }}-cluster-ca-cert{{ end -}}
{{- end }}

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
