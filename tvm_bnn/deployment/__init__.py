"""The deployed form, which needs neither Python nor TVM: plan, seal, folder, execution. Imports artifacts."""
