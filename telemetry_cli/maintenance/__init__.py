"""Commands that repair, shrink or check stored data: doctor, rebuild, restore, prune, redact."""
