"""What every HTTP service of Milepost is built on: the app factory, problems, limits, credentials."""
