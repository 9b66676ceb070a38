import { Controller, Get } from '@nestjs/common';
import { Documented } from '../common/documented.js';
import { AllowScope, Roles } from '../common/principal.js';
import { overviewView, type Overview } from './overview.schema.js';
import { OverviewService } from './overview.service.js';

/** How the service does, for admins. */
@Roles('admin')
@AllowScope('audit:read')
@Controller('admin/overview')
export class OverviewController {
  constructor(private readonly overview: OverviewService) {}

  /** Jobs, endpoints, locks and connections now, and the last hour minute by minute. */
  @Get()
  @Documented({ summary: 'Look at everything at once', answer: overviewView })
  look(): Promise<Overview> {
    return this.overview.look();
  }
}
