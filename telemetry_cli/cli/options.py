"""Options that several commands share, declared once. All are text, flag or repeatable text: handlers convert and check."""

from typing import Annotated

from typer import Argument, Option

Run = Annotated[str | None, Argument(metavar="[RUN]", help="event_id, run_id, a prefix of 4 characters or more, @last, @last:AGENT or @current (the default).")]
RunOption = Annotated[str | None, Option("--run", metavar="RUN", help="The run; default $TELEMETRY_EVENT_ID.")]

Output = Annotated[str | None, Option("-o", "--output", metavar="FORMAT", help="Output format.")]
Json = Annotated[bool, Option("--json", help="Short for -o json.")]
Absolute = Annotated[bool, Option("--absolute", help="Full times in tables instead of ages.")]

AgentName = Annotated[str | None, Option("--agent-name", metavar="TEXT", help="Who runs; default $TELEMETRY_AGENT_NAME, else the CI provider or agent.")]
JobType = Annotated[str | None, Option("--job-type", metavar="TEXT", help="What kind of job; default $TELEMETRY_JOB_TYPE, else the CI job's name.")]
Status = Annotated[str | None, Option("--status", metavar="STATUS", help="running, success, failure, partial, timeout or cancelled.")]
Parent = Annotated[str | None, Option("--parent", metavar="RUN", help="The run this one belongs to; default $TELEMETRY_EVENT_ID.")]
StartTime = Annotated[str | None, Option("--start-time", metavar="TIME", help="ISO 8601 with a zone, or an age such as 15m; default now.")]
EndTime = Annotated[str | None, Option("--end-time", metavar="TIME", help="ISO 8601 with a zone, or an age such as 15m; default now.")]
Metrics = Annotated[str | None, Option("--metrics", metavar="JSON", help="A JSON object, @FILE, or - for stdin; merged key by key.")]
Context = Annotated[str | None, Option("--context", metavar="JSON", help="A JSON object, @FILE, or - for stdin; merged key by key.")]
Metric = Annotated[list[str] | None, Option("-m", "--metric", metavar="KEY=VALUE", help="One metric; may be repeated.")]

Product = Annotated[str | None, Option("--product", metavar="TEXT", help="Product.")]
ProductFamily = Annotated[str | None, Option("--product-family", metavar="TEXT", help="Product family.")]
Platform = Annotated[str | None, Option("--platform", metavar="TEXT", help="Platform.")]
Subdomain = Annotated[str | None, Option("--subdomain", metavar="TEXT", help="Subdomain.")]
Website = Annotated[str | None, Option("--website", metavar="TEXT", help="Website.")]
WebsiteSection = Annotated[str | None, Option("--website-section", metavar="TEXT", help="Section of the website.")]
ItemName = Annotated[str | None, Option("--item-name", metavar="TEXT", help="The item worked on.")]
Environment = Annotated[str | None, Option("--environment", metavar="TEXT", help="Environment, such as staging.")]
Host = Annotated[str | None, Option("--host", metavar="TEXT", help="Machine; default this one's name.")]
TriggerType = Annotated[str | None, Option("--trigger-type", metavar="TEXT", help="What set the run off.")]
InsightId = Annotated[str | None, Option("--insight-id", metavar="TEXT", help="Insight the run follows from.")]
SourceRef = Annotated[str | None, Option("--source-ref", metavar="TEXT", help="What the run reads from.")]
TargetRef = Annotated[str | None, Option("--target-ref", metavar="TEXT", help="What the run writes to.")]
InputSummary = Annotated[str | None, Option("--input-summary", metavar="TEXT", help="What went in, in a line.")]
OutputSummary = Annotated[str | None, Option("--output-summary", metavar="TEXT", help="What came out, in a line.")]
ErrorSummary = Annotated[str | None, Option("--error-summary", metavar="TEXT", help="What went wrong, in a line.")]
ErrorDetails = Annotated[str | None, Option("--error-details", metavar="TEXT", help="What went wrong, at length; 64 KiB are kept.")]
AgentOwner = Annotated[str | None, Option("--agent-owner", metavar="TEXT", help="Who owns the agent; default $AGENT_OWNER.")]
GitRepo = Annotated[str | None, Option("--git-repo", metavar="URL", help="The repository's remote; default discovered.")]
GitBranch = Annotated[str | None, Option("--git-branch", metavar="TEXT", help="The branch; default discovered.")]
GitRunTag = Annotated[str | None, Option("--git-run-tag", metavar="TEXT", help="Repository and branch; default discovered.")]
ItemsDiscovered = Annotated[str | None, Option("--items-discovered", metavar="N", help="Items found.")]
ItemsSucceeded = Annotated[str | None, Option("--items-succeeded", metavar="N", help="Items that went well.")]
ItemsFailed = Annotated[str | None, Option("--items-failed", metavar="N", help="Items that failed.")]
ItemsSkipped = Annotated[str | None, Option("--items-skipped", metavar="N", help="Items left out.")]
DurationMs = Annotated[str | None, Option("--duration-ms", metavar="N", help="Milliseconds; default from start to end.")]
