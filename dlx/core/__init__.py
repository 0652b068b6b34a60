"""The words of the program: definitions, registry, records, errors, seeding."""
