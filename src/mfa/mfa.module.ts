import { Module } from '@nestjs/common';
import { UsersModule } from '../users/users.module.js';
import { MfaController } from './mfa.controller.js';
import { MfaService } from './mfa.service.js';

/** Second factors. */
@Module({
  imports: [UsersModule],
  controllers: [MfaController],
  providers: [MfaService],
})
export class MfaModule {}
