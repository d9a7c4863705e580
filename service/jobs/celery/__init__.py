"""Jobs on other machines: Celery carries their messages, and the store alone says what becomes of them."""
