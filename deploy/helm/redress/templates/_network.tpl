{{- /* Rules of a NetworkPolicy. */ -}}
{{- define "redress.egress" }}
- to:
    {{- toYaml .to | nindent 4 }}
  ports:
    {{- range .ports }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
{{- end }}
{{- define "redress.dns" }}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
{{- end }}
{{- /* What services, jobs and operators reach alike: names, Kafka and who gives tokens for it, PostgreSQL, and Vault where it opens the master keys. */ -}}
{{- define "redress.servers" }}
{{- $may := .root.Values.networkPolicy }}
{{- include "redress.dns" $may.dns }}
{{- include "redress.egress" (dict "to" .kafka "ports" $may.kafkaPorts) }}
{{- if include "redress.kafkaByToken" .root }}
{{- include "redress.egress" (dict "to" $may.kafkaTokens "ports" $may.kafkaTokensPorts) }}
{{- end }}
{{- include "redress.egress" (dict "to" .postgres "ports" (list .root.Values.postgres.port)) }}
{{- if .root.Values.masterKey.vault.url }}
{{- include "redress.egress" (dict "to" $may.vault "ports" $may.vaultPorts) }}
{{- end }}
{{- end }}
