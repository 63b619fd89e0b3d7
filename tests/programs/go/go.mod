module llmtap.invalid/mixed

go 1.19
